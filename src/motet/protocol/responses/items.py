"""Items of a conversation, as chat says them.

A turn of an assistant is several items in a row (thoughts, words, calls of tools), and one message
of chat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from motet.protocol.chat_parts import file_of, plain
from motet.protocol.reading import fault, list_at, object_at, one_of, present, text_at, typed_at
from motet.protocol.responses.tools import qualified

Turn = dict[str, Any]
_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = ("input_text", "output_text", "text", "reasoning_text", "summary_text")
_OF_HOSTS = (
    "web_search_call",
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "code_interpreter_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "compaction",
)
"""Items of tools that OpenAI's host runs; they stand in no conversation that was led here."""


def items_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the items of an `input`, which may be one text.

    Raises
    ------
    RequestError
        It is neither a text nor a list of objects.
    """
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    items = []
    for at, each in enumerate(list_at(value, "input")):
        item = present(object_at(each, f"input[{at}]"))
        items.append({"type": "message", **item} if "role" in item else item)
    return items


def turns_of(items: Sequence[Mapping[str, Any]], first: int = 0) -> list[Turn]:
    """Return the messages that items are.

    Parameters
    ----------
    first
        The number of the first; below 0 where a conversation stands before the client's own.

    Raises
    ------
    RequestError
        One is none that can be read here; names the field.
    """
    turns: list[Turn] = []
    for number, item in enumerate(items, first):
        at = f"input[{number}]"
        kind = text_at(item.get("type"), f"{at}.type")
        match kind:
            case "message":
                _add_message(turns, item, at)
            case "function_call":
                _add_call(turns, item, text_at(item.get("arguments"), f"{at}.arguments"), at)
            case "custom_tool_call":
                _add_call(turns, item, as_arguments(text_at(item.get("input"), f"{at}.input")), at)
            case "function_call_output" | "custom_tool_call_output":
                turns += _result(item, at)
            case "reasoning":
                _add_thoughts(turns, item)
            case "item_reference":
                fault(
                    at,
                    "items are not kept one by one; send the item itself, or continue a response "
                    "by previous_response_id",
                )
            case _ if kind in _OF_HOSTS:
                fault(f"{at}.type", "this comes of a tool that is not run here; leave it out", kind)
            case _:
                fault(f"{at}.type", "no item that is known here", kind)
    return turns


def as_arguments(text: str) -> str:
    """Return the free text for a custom tool as the arguments of a function, as chat has it."""
    return orjson.dumps({"input": text}).decode()


def _add_message(turns: list[Turn], item: Mapping[str, Any], at: str) -> None:
    role = one_of(item.get("role"), _ROLES, f"{at}.role", "role")
    content = item.get("content")
    if not isinstance(content, str):
        content = plain(
            [
                _part(typed_at(part, f"{at}.content[{i}]"), f"{at}.content[{i}]")
                for i, part in enumerate(list_at(content, f"{at}.content"))
            ]
        )
    if role != "assistant":
        turns.append({"role": role, "content": content})
        return
    turn = _assistants(turns)
    if turn["content"] or "tool_calls" in turn:
        turn = {"role": "assistant", "content": None}
        turns.append(turn)
    turn["content"] = content


def _add_call(turns: list[Turn], item: Mapping[str, Any], arguments: str, at: str) -> None:
    call = {
        "id": text_at(item.get("call_id"), f"{at}.call_id"),
        "type": "function",
        "function": {"name": qualified(item, at), "arguments": arguments},
    }
    _assistants(turns).setdefault("tool_calls", []).append(call)


def _add_thoughts(turns: list[Turn], item: Mapping[str, Any]) -> None:
    """Note thoughts on the turn that they lead to, as they came, for whoever can read them."""
    if not turns or turns[-1].keys() != {"role", "content", "reasoning_items"}:
        turns.append({"role": "assistant", "content": "", "reasoning_items": []})
    turns[-1]["reasoning_items"].append(dict(item))


def _assistants(turns: list[Turn]) -> Turn:
    """Return the turn of the assistant that goes on, or a new one."""
    if not turns or turns[-1]["role"] != "assistant":
        turns.append({"role": "assistant", "content": None})
    return turns[-1]


def _result(item: Mapping[str, Any], at: str) -> list[Turn]:
    """Return what a tool said, and the parts that no message of a tool may hold."""
    output, shown = item.get("output"), []
    if not isinstance(output, str):
        parts = [
            _part(typed_at(part, f"{at}.output[{i}]"), f"{at}.output[{i}]")
            for i, part in enumerate(list_at(output, f"{at}.output"))
        ]
        shown = [part for part in parts if part["type"] != "text"]
        output = plain([part for part in parts if part["type"] == "text"])
    call = text_at(item.get("call_id"), f"{at}.call_id")
    turns: list[Turn] = [{"role": "tool", "tool_call_id": call, "content": output}]
    return [*turns, {"role": "user", "content": shown}] if shown else turns


def _part(part: Mapping[str, Any], at: str) -> Mapping[str, Any]:
    """Return a part as chat has it; kinds that are unknown here go on untouched."""
    kind = part["type"]
    if kind in _TEXTS:
        return {"type": "text", "text": text_at(part.get("text"), f"{at}.text")}
    if kind == "refusal":
        return {"type": "refusal", "refusal": text_at(part.get("refusal"), f"{at}.refusal")}
    if kind == "input_image":
        if "image_url" not in part:
            fault(f"{at}.file_id", "files of another host cannot be read here; send image_url")
        image = {"url": text_at(part["image_url"], f"{at}.image_url")}
        if "detail" in part:
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file":
        if "file_data" not in part:
            at = f"{at}.file_id" if "file_id" in part else f"{at}.file_url"
            fault(at, "a file is read here from its content alone; send file_data")
        names = ("filename", "file_data")
        file = file_of({name: part[name] for name in names if name in part}, at)
        return {"type": "file", "file": file}
    return part
