"""A request as Messages says it; the other way around stands in `motet.protocol.messages`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from motet.errors import RequestError
from motet.types import Message, Request

Block = dict[str, Any]
_MARK = "cache_control"
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_MEANT = frozenset(
    {
        "parallel_tool_calls",
        "reasoning_effort",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "verbosity",
    }
)
"""Fields that are said in other words here, or that only help a host of OpenAI's."""


def body_of(request: Request, model: str, max_tokens: int) -> dict[str, Any]:
    """Return the JSON body that asks `model` to answer `request`.

    Raises
    ------
    RequestError
        Messages has no words for a field.
    """
    if request.n != 1:
        raise RequestError(f"n: {model!r} gives one answer at a time.", param="n")
    if request.seed is not None:
        raise RequestError(f"seed: {model!r} takes none.", param="seed")
    native = dict(request.native.get("messages", {}))
    body: dict[str, Any] = {k: v for k, v in request.extra.items() if k not in _MEANT}
    body |= native
    body |= {"model": model, "max_tokens": request.max_tokens or max_tokens}
    system, turns = _led(request.messages)
    if system:
        body["system"] = system
    late = "system" if "messages" in request.native else "user"
    body["messages"] = list(_alternating(turns, {"assistant": "assistant", "system": late}))
    optional = {"temperature": request.temperature, "top_p": request.top_p}
    body |= {name: value for name, value in optional.items() if value is not None}
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if choice := _choice(request):
            body["tool_choice"] = choice
    if output := _output(request, native):
        body["output_config"] = output
    user = request.metadata.get("user_id") or request.user
    if user:
        body["metadata"] = {"user_id": user}
    if request.stream:
        body["stream"] = True
    return body


def _led(messages: Iterable[Message]) -> tuple[Any, list[Message]]:
    """Return the system prompt, and what comes after it."""
    turns = list(messages)
    blocks: list[Block] = []
    while turns and turns[0]["role"] in ("system", "developer"):
        blocks += _parts(turns.pop(0).get("content"))
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"], turns
    return blocks, turns


def _alternating(turns: Iterable[Message], roles: Mapping[str, str]) -> Iterable[Block]:
    """Yield turns by who speaks; whoever is not among `roles`, such as a tool, is the user.

    A late system prompt stays one where a client of Messages sent it: not all hosts take it.
    """
    role, blocks = "", list[Block]()
    for turn in turns:
        said = roles.get(turn["role"], "user")
        if said != role and blocks:
            yield _turn(role, blocks)
            blocks = []
        role = said
        blocks += _blocks(turn)
    if blocks:
        yield _turn(role, blocks)


def _turn(role: str, blocks: list[Block]) -> Block:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return {"role": role, "content": blocks[0]["text"]}
    return {"role": role, "content": blocks}


def _blocks(turn: Message) -> list[Block]:
    if turn["role"] == "tool":
        result = {
            "type": "tool_result",
            "tool_use_id": turn.get("tool_call_id", ""),
            "content": _plain(_parts(turn.get("content"))),
        }
        result |= {name: turn[name] for name in ("is_error", _MARK) if name in turn}
        return [result]
    blocks = [dict(thought) for thought in turn.get("thinking_blocks") or ()]
    blocks += _parts(turn.get("content"))
    for call in turn.get("tool_calls") or ():
        function = call.get("function") or {}
        use = {
            "type": "tool_use",
            "id": call.get("id", ""),
            "name": function.get("name", ""),
            "input": _input(function.get("arguments")),
        }
        blocks.append(_marked(call, use))
    return blocks


def _parts(content: Any) -> list[Block]:
    """Return the blocks of a message's content; empty text is none, for Messages refuses it."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for part in content if (block := _part(part)).get("text") != ""]


def _part(part: Mapping[str, Any]) -> Block:
    kind = part.get("type")
    if kind == "image_url":
        image = part["image_url"]
        url = image if isinstance(image, str) else image["url"]
        return _marked(part, {"type": "image", "source": _source(url)})
    if kind == "file":
        file = part.get("file") or {}
        document = {"type": "document", "source": _source(file.get("file_data") or "")}
        if file.get("filename"):
            document["title"] = file["filename"]
        return _marked(part, document)
    if kind in ("input_text", "refusal"):
        return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}
    return dict(part)


def _source(url: str) -> dict[str, str]:
    """Return where an image or a document is: in the URL itself, or at it."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media = head.removeprefix("data:").removesuffix(";base64")
        return {"type": "base64", "media_type": media, "data": data}
    return {"type": "url", "url": url}


def _plain(blocks: list[Block]) -> Any:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _marked(said: Mapping[str, Any], block: Block) -> Block:
    return {**block, _MARK: said[_MARK]} if _MARK in said else block


def _input(arguments: Any) -> Any:
    try:
        values = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        values = None
    return values if isinstance(values, dict) else {"INVALID_JSON": arguments}


def _tool(tool: Mapping[str, Any]) -> Block:
    function = tool.get("function")
    if function is None:
        return dict(tool)
    said = {"name": function["name"], "input_schema": function.get("parameters") or _NOTHING}
    said |= {name: function[name] for name in ("description", "strict") if name in function}
    return _marked(tool, said)


_NOTHING = {"type": "object", "properties": {}}


def _choice(request: Request) -> Block | None:
    choice = request.tool_choice
    said: Block = {"type": "auto"}
    if isinstance(choice, str):
        said = {"type": _CHOICES[choice]}
    elif isinstance(choice, Mapping):
        name = (choice.get("function") or {}).get("name")
        if name is None:
            raise RequestError("tool_choice: only one tool can be named here.", param="tool_choice")
        said = {"type": "tool", "name": name}
    if request.extra.get("parallel_tool_calls") is False and said["type"] != "none":
        return {**said, "disable_parallel_tool_use": True}
    return None if choice is None else said


def _output(request: Request, native: Mapping[str, Any]) -> Block:
    """Return how the answer is bound, and how hard it is thought about."""
    output = dict(native.get("output_config") or {})
    if effort := request.extra.get("reasoning_effort"):
        output.setdefault("effort", effort)
    form = request.response_format or {}
    if form.get("type") == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema", {})
        output["format"] = {"type": "json_schema", "schema": schema}
    elif form.get("type") == "json_object":
        raise RequestError(
            "response_format: json_object has no schema, which Messages wants.",
            hint="Send json_schema.",
            param="response_format",
        )
    return output
