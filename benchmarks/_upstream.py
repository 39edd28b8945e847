"""A fake OpenAI-compatible host: the same short answer to everybody, as fast as Python can.

Run as `python _upstream.py PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import uvicorn

WORDS = tuple(f"word{number:02d} " for number in range(20))
TEXT = "".join(WORDS)
_HEAD = {"id": "chatcmpl-upstream", "created": 1_700_000_000, "model": "upstream"}
_USAGE = {"prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220}


def _body() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    return orjson.dumps(whole)


def _events() -> list[bytes]:
    """Return one event a word, then the finish, the usage and the end, as OpenAI sends them."""
    deltas: list[tuple[dict[str, str], str | None]]
    deltas = [({"role": "assistant", "content": WORDS[0]}, None)]
    deltas += [({"content": word}, None) for word in WORDS[1:]]
    choices = [
        [{"index": 0, "delta": d, "finish_reason": why}] for d, why in [*deltas, ({}, "stop")]
    ]
    payloads = [{"choices": choice} for choice in choices]
    payloads.append({"choices": [], "usage": _USAGE})
    head = {**_HEAD, "object": "chat.completion.chunk"}
    return [b"data: %b\n\n" % orjson.dumps({**head, **p}) for p in payloads] + [b"data: [DONE]\n\n"]


_BODY = _body()
_EVENTS = _events()
_JSON_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_BODY)),
]
_EVENT_HEADERS = [(b"content-type", b"text/event-stream")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request; as a stream when its body asks for one."""
    if scope["type"] != "http":
        return
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    stream = bool(content) and orjson.loads(content).get("stream", False)
    headers = _EVENT_HEADERS if stream else _JSON_HEADERS
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if not stream:
        await send({"type": "http.response.body", "body": _BODY})
        return
    for event in _EVENTS:
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0)  # or one write would carry the whole stream, as no model sends it
    await send({"type": "http.response.body", "body": b"", "more_body": False})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", lifespan="off", access_log=False)
