"""Tools of Responses, as chat says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from motet.protocol.reading import fault, list_at, object_at, one_of, present, text_at, typed_at

_WORDS = ("auto", "none", "required")


def tools_of(values: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """Return tools as functions.

    A custom tool, which takes free text, becomes a function of one text, and those of a namespace
    have its name before their own: so any expert that knows tools can call them. Tools that
    OpenAI's host runs are refused by name.
    """
    return tuple(function for function, _ in _read(values, "tools"))


def forms_of(values: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Return how calls of functions are framed: the item's fields by the function's name."""
    return {function["function"]["name"]: form for function, form in _read(values, "tools")}


def qualified(item: Mapping[str, Any], at: str) -> str:
    """Return the name of the function that an item calls."""
    name = text_at(item.get("name"), f"{at}.name")
    space = item.get("namespace")
    return name if space is None else f"{text_at(space, f'{at}.namespace')}__{name}"


def choice_of(value: Any) -> Any:
    """Return which tool is to be called, as chat says it."""
    if value is None:
        return None
    if isinstance(value, str):
        return one_of(value, _WORDS, "tool_choice", "choice")
    choice = typed_at(value, "tool_choice")
    if choice["type"] == "allowed_tools":
        mode = one_of(choice.get("mode", "auto"), _WORDS, "tool_choice.mode", "mode")
        tools = list_at(choice.get("tools"), "tool_choice.tools")
        named = [_named(typed_at(tool, "tool_choice.tools"), "tool_choice.tools") for tool in tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
    return _named(choice, "tool_choice")


def _named(choice: Mapping[str, Any], at: str) -> dict[str, Any]:
    one_of(choice["type"], ("function", "custom"), f"{at}.type", "kind of tool here")
    return {"type": "function", "function": {"name": text_at(choice.get("name"), f"{at}.name")}}


def _read(values: Sequence[Any], at: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each tool as a function, and how a call of it is framed."""
    for number, value in enumerate(values):
        tool, place = present(object_at(value, f"{at}[{number}]")), f"{at}[{number}]"
        if tool.get("type") != "namespace":
            kind = "custom_tool_call" if tool.get("type") == "custom" else "function_call"
            yield _tool(tool, place), {"type": kind, "name": tool.get("name")}
            continue
        space = text_at(tool.get("name"), f"{place}.name")
        inner = list_at(tool.get("tools"), f"{place}.tools")
        for function, form in _read(inner, f"{place}.tools"):
            function["function"]["name"] = f"{space}__{function['function']['name']}"
            yield function, {**form, "namespace": space}


def _tool(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    kind = text_at(tool.get("type"), f"{at}.type")
    if kind not in ("function", "custom"):
        fault(
            f"{at}.type",
            "this tool is run by OpenAI's host, and by nobody here; known are function, custom and "
            "namespace. Leave it out",
            kind,
        )
    name = text_at(tool.get("name"), f"{at}.name")
    if kind == "custom":
        return {"type": "function", "function": {"name": name, **_free(tool, at)}}
    if "parameters" in tool:
        object_at(tool["parameters"], f"{at}.parameters")
    function = {key: value for key, value in tool.items() if key != "type"}
    return {"type": "function", "function": function}


def _free(tool: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Return a function of one text in place of a tool that takes what its grammar allows."""
    said = text_at(tool.get("description", ""), f"{at}.description")
    form = tool.get("format")
    if isinstance(form, Mapping) and form.get("definition"):
        said += (
            f"\n\nThe input follows this {form.get('syntax', '')} grammar:\n{form['definition']}"
        )
    return {
        "description": said.strip(),
        "parameters": {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        },
    }
