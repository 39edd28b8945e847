"""Tools of Responses, as chat says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from motet.protocol.reading import fault, list_at, object_at, one_of, present, text_at, typed_at

_WORDS = ("auto", "none", "required")


def tools_of(values: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """Return tools as functions.

    A custom tool, which takes free text, becomes a function of one text: so any expert that knows
    tools can call it. Tools that OpenAI's host runs are refused by name.
    """
    return tuple(_tool(present(object_at(tool, f"tools[{i}]")), i) for i, tool in enumerate(values))


def custom_of(values: Sequence[Any]) -> frozenset[str]:
    """Return the names of the custom tools, whose calls are framed as such."""
    return frozenset(
        str(tool.get("name"))
        for tool in values
        if isinstance(tool, Mapping) and tool.get("type") == "custom"
    )


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


def _tool(tool: Mapping[str, Any], number: int) -> dict[str, Any]:
    at = f"tools[{number}]"
    kind = text_at(tool.get("type"), f"{at}.type")
    if kind not in ("function", "custom"):
        fault(
            f"{at}.type",
            "this tool is run by OpenAI's host, and by nobody here; known are function and custom. "
            "Leave it out",
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
