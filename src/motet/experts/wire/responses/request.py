"""A request as Responses says it; the other way around stands in `motet.protocol.responses`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from motet.errors import RequestError
from motet.types import Message, Request

Item = dict[str, Any]
_LOGPROBS = "message.output_text.logprobs"
_NOT_SAID = ("frequency_penalty", "presence_penalty", "logit_bias", "logprobs")


def body_of(request: Request, model: str) -> dict[str, Any]:
    """Return the JSON body that asks `model` to answer `request`.

    Raises
    ------
    RequestError
        Responses has no words for a field.
    """
    _refuse_what_cannot_be_said(request, model)
    extra = dict(request.extra)
    effort, verbosity = extra.pop("reasoning_effort", None), extra.pop("verbosity", None)
    native = dict(request.native.get("responses", {}))
    reasoning = {**(native.pop("reasoning", None) or {}), **({"effort": effort} if effort else {})}
    include = list(native.pop("include", None) or [])
    body: dict[str, Any] = {
        **extra,
        **native,
        "model": model,
        "input": [item for message in request.messages for item in _items(message)],
        "store": False,
    }
    optional = {
        "max_output_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "tool_choice": _choice(request.tool_choice) if request.tools else None,
        "user": request.user,
        "reasoning": reasoning or None,
        "text": _text(request.response_format, verbosity),
    }
    if request.top_logprobs is not None:
        optional["top_logprobs"] = request.top_logprobs
        include = [*include, *([] if _LOGPROBS in include else [_LOGPROBS])]
    optional["include"] = include or None
    body |= {name: value for name, value in optional.items() if value is not None}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.stream:
        body["stream"] = True
    return body


def _refuse_what_cannot_be_said(request: Request, model: str) -> None:
    unsaid = {
        "n": request.n != 1,
        "stop": bool(request.stop),
        "seed": request.seed is not None,
        "prompt": request.prompt is not None,
        **{name: request.extra.get(name) is not None for name in _NOT_SAID},
    }
    for field, is_there in unsaid.items():
        if is_there:
            raise RequestError(
                f"{field}: {model!r} is asked through Responses, which has no such field.",
                hint="Leave it out, or ask an expert of api: chat.",
                param=field,
            )


def _items(message: Message) -> Iterator[Item]:
    role = message["role"]
    if role == "tool":
        output = _content(message.get("content"), "input_text")
        call = message.get("tool_call_id", "")
        yield {"type": "function_call_output", "call_id": call, "output": output}
        return
    yield from (dict(item) for item in message.get("reasoning_items") or ())
    kind = "output_text" if role == "assistant" else "input_text"
    content = message.get("content")
    if content:
        if isinstance(content, str) and role == "assistant":
            content = [{"type": "text", "text": content}]
        yield {"type": "message", "role": role, "content": _content(content, kind)}
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        yield {
            "type": "function_call",
            "call_id": call.get("id", ""),
            "name": function.get("name", ""),
            "arguments": function.get("arguments") or "{}",
        }


def _content(content: Any, kind: str) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, kind) for part in content]


def _part(part: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    match part.get("type"):
        case "text":
            return {"type": kind, "text": part.get("text", "")}
        case "image_url":
            image = part["image_url"]
            image = {"url": image} if isinstance(image, str) else image
            beside = {"detail": image["detail"]} if "detail" in image else {}
            return {"type": "input_image", "image_url": image["url"], **beside}
        case "file":
            return {"type": "input_file", **(part.get("file") or {})}
    return part


def _tool(tool: Mapping[str, Any]) -> Item:
    function = tool.get("function")
    return dict(tool) if function is None else {"strict": False, **function, "type": "function"}


def _choice(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        tools = [_choice(tool) for tool in allowed.get("tools") or ()]
        return {"type": "allowed_tools", "mode": allowed.get("mode", "auto"), "tools": tools}
    return {"type": choice.get("type"), **(choice.get("function") or {})}


def _text(form: Mapping[str, Any] | None, verbosity: Any) -> Item | None:
    text: Item = {} if verbosity is None else {"verbosity": verbosity}
    if form is not None:
        schema = form.get("json_schema") or {}
        text["format"] = {"type": form.get("type"), **schema}
    return text or None
