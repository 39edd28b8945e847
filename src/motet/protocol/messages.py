"""Messages and tools as clients send them: what Motet reads of them is checked, the rest travels.

By hand, and not by a schema of OpenAI's types: clients send roles, parts and formats that are newer
than any such list, which their expert may well know; a union of types tries each on every part; and
a body of a million wrong parts must be refused at the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.errors import RequestError
from motet.wording import did_you_mean, shown

_SPOKEN = frozenset({"system", "developer", "user", "tool", "function"})
"""Roles whose messages are nothing without content; an assistant's may be tool calls alone."""
_CHOICES = ("none", "auto", "required")


def messages_of(values: list[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return chat messages, less their nulls: clients dump absent fields so.

    Raises
    ------
    RequestError
        One is no message; names the field.
    """
    return tuple(_message(value, f"messages[{at}]") for at, value in enumerate(values))


def tools_of(values: list[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return tools, less their nulls; of types other than functions only the type is read.

    Raises
    ------
    RequestError
        One is no tool; names the field.
    """
    return tuple(_tool(value, f"tools[{at}]") for at, value in enumerate(values))


def tool_choice_of(value: Any) -> Any:
    """Return which tool is to be called.

    Raises
    ------
    RequestError
        It is neither a known word nor an object with a type.
    """
    if isinstance(value, str):
        if value not in _CHOICES:
            raise _fault("tool_choice", f"no such choice. {did_you_mean(value, _CHOICES)}", value)
        return value
    return None if value is None else _typed(value, "tool_choice")


def format_of(value: Any) -> Mapping[str, Any] | None:
    """Return the format of the answer.

    Raises
    ------
    RequestError
        It is no object with a type.
    """
    if value is None:
        return None
    form = _typed(value, "response_format")
    if form["type"] == "json_schema":
        _object(form.get("json_schema"), "response_format.json_schema")
    return form


def _message(value: Any, at: str) -> Mapping[str, Any]:
    message = _present(_object(value, at))
    role = _text(message.get("role"), f"{at}.role")
    content = message.get("content")
    if content is None and role in _SPOKEN:
        raise _fault(f"{at}.content", "Field required")
    if isinstance(content, list):
        parts = [_part(part, f"{at}.content[{i}]") for i, part in enumerate(content)]
        message = {**message, "content": parts}
    elif content is not None and not isinstance(content, str):
        raise _fault(f"{at}.content", "must be text or a list of parts", content)
    if role == "tool":
        _text(message.get("tool_call_id"), f"{at}.tool_call_id")
    if "name" in message:
        _text(message["name"], f"{at}.name")
    if "tool_calls" in message:
        calls = _list(message["tool_calls"], f"{at}.tool_calls")
        kept = [_tool_call(call, f"{at}.tool_calls[{i}]") for i, call in enumerate(calls)]
        message = {**message, "tool_calls": kept}
    return message


def _part(value: Any, at: str) -> Mapping[str, Any]:
    part = _typed(value, at)
    if part["type"] in ("text", "input_text"):
        _text(part.get("text"), f"{at}.text")
    if part["type"] == "image_url":
        image = part.get("image_url")
        if not isinstance(image, str):
            image = _present(_object(image, f"{at}.image_url"))
            _text(image.get("url"), f"{at}.image_url.url")
            part = {**part, "image_url": image}
    return part


def _tool_call(value: Any, at: str) -> Mapping[str, Any]:
    call = _present(_object(value, at))
    if call.get("type", "function") == "function":
        function = _present(_object(call.get("function"), f"{at}.function"))
        _text(function.get("name"), f"{at}.function.name")
        _text(function.get("arguments", ""), f"{at}.function.arguments")
        call = {**call, "function": function}
    return call


def _tool(value: Any, at: str) -> Mapping[str, Any]:
    tool = _typed(value, at)
    if tool["type"] == "function":
        function = _present(_object(tool.get("function"), f"{at}.function"))
        _text(function.get("name"), f"{at}.function.name")
        if "parameters" in function:
            _object(function["parameters"], f"{at}.function.parameters")
        tool = {**tool, "function": function}
    return tool


def _typed(value: Any, at: str) -> Mapping[str, Any]:
    typed = _present(_object(value, at))
    _text(typed.get("type"), f"{at}.type")
    return typed


def _present(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields without those that are null, which is how some clients write absence."""
    if None not in values.values():
        return values
    return {name: value for name, value in values.items() if value is not None or name == "content"}


def _object(value: Any, at: str) -> Mapping[str, Any]:
    return _checked(value, dict, "must be an object", at)  # type: ignore[no-any-return]


def _list(value: Any, at: str) -> list[Any]:
    return _checked(value, list, "must be a list", at)  # type: ignore[no-any-return]


def _text(value: Any, at: str) -> str:
    return _checked(value, str, "must be text", at)  # type: ignore[no-any-return]


def _checked(value: Any, kind: type, rule: str, at: str) -> Any:
    if not isinstance(value, kind):
        raise _fault(at, "Field required") if value is None else _fault(at, rule, value)
    return value


def _fault(at: str, rule: str, *got: Any) -> RequestError:
    rule = rule if rule.endswith(".") else f"{rule}."
    told = f" Got {shown(got[0])}." if got else ""
    return RequestError(f"{at}: {rule}{told}", param=at)
