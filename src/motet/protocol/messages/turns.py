"""Turns, system prompts and tools of Messages, as chat says them.

What chat has no words for stays beside its part, under the name it came with, for an expert that
speaks Messages: marks for prompt caches, thoughts with their signatures, whether a tool failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from motet.protocol.chat_parts import data_url, plain
from motet.protocol.reading import (
    fault,
    list_at,
    object_at,
    one_of,
    present,
    text_at,
    typed_at,
)

Turn = dict[str, Any]
_ROLES = ("user", "assistant", "system")
"""The third is newer than the reference; Claude Code sends it."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_FUNCTIONS = ("custom", "function")


def system_of(value: Any) -> list[Turn]:
    """Return the system prompt, a text or blocks of text, as messages: one, or none."""
    if value is None or value == "" or value == []:
        return []
    if isinstance(value, str):
        return [{"role": "system", "content": value}]
    parts = []
    for at, block in enumerate(list_at(value, "system")):
        block = typed_at(block, f"system[{at}]")
        one_of(block["type"], ("text",), f"system[{at}].type", "kind of block here")
        parts.append(_text(block, f"system[{at}]"))
    return [{"role": "system", "content": plain(parts)}]


def turns_of(values: Any) -> list[Turn]:
    """Return the messages of a conversation.

    Raises
    ------
    RequestError
        One is none; names the field.
    """
    turns: list[Turn] = []
    for number, value in enumerate(list_at(values, "messages")):
        at = f"messages[{number}]"
        message = present(object_at(value, at))
        role = one_of(message.get("role"), _ROLES, f"{at}.role", "role")
        content = message.get("content")
        if isinstance(content, str):
            turns.append({"role": role, "content": content})
            continue
        blocks = [
            (typed_at(block, f"{at}.content[{i}]"), f"{at}.content[{i}]")
            for i, block in enumerate(list_at(content, f"{at}.content"))
        ]
        turns += _said(blocks) if role == "assistant" else _asked(blocks)
    return turns


def tools_of(values: Any) -> tuple[Turn, ...]:
    """Return tools as functions; those that a host would run by itself are refused by name."""
    return tuple(_tool(value, f"tools[{at}]") for at, value in enumerate(list_at(values, "tools")))


def choice_of(value: Any) -> tuple[Any, dict[str, Any]]:
    """Return which tool is to be called, and what else the choice says, as chat's fields."""
    if value is None:
        return None, {}
    choice = typed_at(value, "tool_choice")
    kind = one_of(choice["type"], (*_CHOICES, "tool"), "tool_choice.type", "choice")
    beside = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if kind == "tool":
        name = text_at(choice.get("name"), "tool_choice.name")
        return {"type": "function", "function": {"name": name}}, beside
    return _CHOICES[kind], beside


def _asked(blocks: list[tuple[Mapping[str, Any], str]]) -> list[Turn]:
    """Return what a user's blocks are: messages of tools, and of the user, in their order."""
    turns: list[Turn] = []
    parts: list[Any] = []

    def end_parts() -> None:
        if parts:
            turns.append({"role": "user", "content": plain(parts[:])})
            parts.clear()

    for block, at in blocks:
        if block["type"] == "tool_result":
            end_parts()
            said, shown = _result(block, at)
            turns.append(said)
            parts += shown
        else:
            parts.append(_part(block, at))
    end_parts()
    return turns or [{"role": "user", "content": ""}]


def _result(block: Mapping[str, Any], at: str) -> tuple[Turn, list[Any]]:
    """Return what a tool said, and the parts that no message of a tool may hold."""
    content = block.get("content", "")
    shown: list[Any] = []
    if not isinstance(content, str):
        parts = [
            _part(typed_at(each, f"{at}.content[{i}]"), f"{at}.content[{i}]")
            for i, each in enumerate(list_at(content, f"{at}.content"))
        ]
        shown = [part for part in parts if part["type"] != "text"]
        content = plain([part for part in parts if part["type"] == "text"])
    turn = {
        "role": "tool",
        "tool_call_id": text_at(block.get("tool_use_id"), f"{at}.tool_use_id"),
        "content": content,
    }
    if block.get("is_error"):
        turn["is_error"] = True
    if "cache_control" in block:
        turn["cache_control"] = block["cache_control"]
    return turn, shown


def _said(blocks: list[tuple[Mapping[str, Any], str]]) -> list[Turn]:
    """Return what an assistant's blocks are: one message."""
    parts, calls, thoughts = [], [], []
    for block, at in blocks:
        kind = block["type"]
        if kind == "tool_use":
            calls.append(_call(block, at))
        elif kind in ("thinking", "redacted_thinking"):
            thoughts.append(dict(block))
        else:
            parts.append(_part(block, at))
    turn: Turn = {"role": "assistant", "content": plain(parts) if parts or not calls else None}
    if calls:
        turn["tool_calls"] = calls
    if thoughts:
        turn["thinking_blocks"] = thoughts
    return [turn]


def _call(block: Mapping[str, Any], at: str) -> dict[str, Any]:
    call = {
        "id": text_at(block.get("id"), f"{at}.id"),
        "type": "function",
        "function": {
            "name": text_at(block.get("name"), f"{at}.name"),
            "arguments": orjson.dumps(object_at(block.get("input", {}), f"{at}.input")).decode(),
        },
    }
    if "cache_control" in block:
        call["cache_control"] = block["cache_control"]
    return call


def _part(block: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    """Return a block as a part of chat; kinds that are unknown here go on untouched."""
    kind = block["type"]
    if kind == "text":
        return _text(block, at)
    if kind == "image":
        source = _source(block, at, ("base64", "url", "file"))
        if source["type"] == "file":
            fault(f"{at}.source.type", "files of another host cannot be read here", "file")
        url = source["url"] if source["type"] == "url" else data_url(source)
        return _beside(block, {"type": "image_url", "image_url": {"url": url}})
    if kind == "document":
        return _document(block, at)
    return block


def _document(block: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    source = _source(block, at, ("base64", "text", "url", "content"))
    title = text_at(block.get("title", "document"), f"{at}.title")
    if source["type"] == "text":
        return _beside(block, {"type": "text", "text": source["data"]})
    if source["type"] == "base64":
        file = {"filename": title, "file_data": data_url(source)}
        return _beside(block, {"type": "file", "file": file})
    fault(
        f"{at}.source.type",
        "a document is read as base64 or as text here; send its content so",
        source["type"],
    )


def _source(block: Mapping[str, Any], at: str, kinds: tuple[str, ...]) -> Mapping[str, Any]:
    source = typed_at(block.get("source"), f"{at}.source")
    kind = one_of(source["type"], kinds, f"{at}.source.type", "source")
    if kind in ("base64", "text"):
        text_at(source.get("data"), f"{at}.source.data")
    if kind == "base64":
        text_at(source.get("media_type"), f"{at}.source.media_type")
    if kind == "url":
        text_at(source.get("url"), f"{at}.source.url")
    return source


def _text(block: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    text_at(block.get("text"), f"{at}.text")
    return block


def _beside(block: Mapping[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Return a part with the mark of a prompt cache that its block has."""
    if "cache_control" in block:
        part["cache_control"] = block["cache_control"]
    return part


def _tool(value: Any, at: str) -> Turn:
    tool = present(object_at(value, at))
    kind = text_at(tool.get("type", "custom"), f"{at}.type")
    name = text_at(tool.get("name"), f"{at}.name")
    if kind not in _FUNCTIONS:
        fault(
            f"{at}.type",
            f"the tool {name!r} is one that its host runs or knows by heart, and experts here know "
            "tools by their schema: leave it out, or describe it with input_schema",
            kind,
        )
    function = {
        "name": name,
        "parameters": object_at(tool.get("input_schema"), f"{at}.input_schema"),
    }
    if "description" in tool:
        function["description"] = text_at(tool["description"], f"{at}.description")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    return _beside(tool, {"type": "function", "function": function})
