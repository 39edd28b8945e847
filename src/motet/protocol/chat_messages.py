"""Messages and tools as clients send them: what Motet reads of them is checked, the rest travels.

By hand, and not by a schema of OpenAI's types: clients send roles, parts and formats that are newer
than any such list, which their expert may well know; a union of types tries each on every part; and
a body of a million wrong parts must be refused at the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.protocol.chat_parts import file_of
from motet.protocol.reading import fault, list_at, object_at, one_of, present, text_at, typed_at

_SPOKEN = frozenset({"system", "developer", "user", "tool", "function"})
"""Roles whose messages are nothing without content; an assistant's may be tool calls alone."""
_CHOICES = ("none", "auto", "required")
_ALLOWED = "tool_choice.allowed_tools.tools"
_THOUGHTS = frozenset({"thinking_blocks", "reasoning_items"})
"""Where thoughts stand that an expert of another protocol knows again."""


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
        return one_of(value, _CHOICES, "tool_choice", "choice")
    if value is None:
        return None
    choice = typed_at(value, "tool_choice")
    for name in ("function", "allowed_tools"):
        if name in choice:
            object_at(choice[name], f"tool_choice.{name}")
    if choice["type"] == "allowed_tools":
        tools = list_at(choice.get("allowed_tools", {}).get("tools"), _ALLOWED)
        for at, tool in enumerate(tools):
            object_at(typed_at(tool, f"{_ALLOWED}[{at}]").get("function", {}), f"{_ALLOWED}[{at}]")
    return choice


def format_of(value: Any) -> Mapping[str, Any] | None:
    """Return the format of the answer.

    Raises
    ------
    RequestError
        It is no object with a type.
    """
    if value is None:
        return None
    form = typed_at(value, "response_format")
    if form["type"] == "json_schema":
        object_at(form.get("json_schema"), "response_format.json_schema")
    return form


def _message(value: Any, at: str) -> Mapping[str, Any]:
    message = present(object_at(value, at))
    role = text_at(message.get("role"), f"{at}.role")
    content = message.get("content")
    if content is None and role in _SPOKEN:
        fault(f"{at}.content", "Field required")
    if isinstance(content, list):
        parts = [_part(part, f"{at}.content[{i}]") for i, part in enumerate(content)]
        message = {**message, "content": parts}
    elif content is not None and not isinstance(content, str):
        fault(f"{at}.content", "must be text or a list of parts", content)
    if role == "tool":
        text_at(message.get("tool_call_id"), f"{at}.tool_call_id")
    if "name" in message:
        text_at(message["name"], f"{at}.name")
    if "tool_calls" in message:
        calls = list_at(message["tool_calls"], f"{at}.tool_calls")
        kept = [_tool_call(call, f"{at}.tool_calls[{i}]") for i, call in enumerate(calls)]
        message = {**message, "tool_calls": kept}
    for name in _THOUGHTS & message.keys():
        for i, thought in enumerate(list_at(message[name], f"{at}.{name}")):
            object_at(thought, f"{at}.{name}[{i}]")
    return message


def _part(value: Any, at: str) -> Mapping[str, Any]:
    part = typed_at(value, at)
    if part["type"] in ("text", "input_text"):
        text_at(part.get("text"), f"{at}.text")
    if part["type"] == "image_url":
        image = part.get("image_url")
        if not isinstance(image, str):
            image = present(object_at(image, f"{at}.image_url"))
            text_at(image.get("url"), f"{at}.image_url.url")
            part = {**part, "image_url": image}
    if part["type"] == "file":
        part = {**part, "file": file_of(part.get("file"), f"{at}.file")}
    return part


def _tool_call(value: Any, at: str) -> Mapping[str, Any]:
    call = present(object_at(value, at))
    for name in ("function", "custom"):
        if name in call:
            object_at(call[name], f"{at}.{name}")
    if text_at(call.get("type", "function"), f"{at}.type") == "function":
        function = present(object_at(call.get("function"), f"{at}.function"))
        text_at(function.get("name"), f"{at}.function.name")
        text_at(function.get("arguments", ""), f"{at}.function.arguments")
        call = {**call, "function": function}
    return call


def _tool(value: Any, at: str) -> Mapping[str, Any]:
    tool = typed_at(value, at)
    if tool["type"] == "function":
        function = present(object_at(tool.get("function"), f"{at}.function"))
        text_at(function.get("name"), f"{at}.function.name")
        if "parameters" in function:
            object_at(function["parameters"], f"{at}.function.parameters")
        tool = {**tool, "function": function}
    return tool
