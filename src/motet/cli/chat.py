"""`motet chat`: a conversation in the terminal, streaming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from motet.cli.console import Key, command, fail, plain
from motet.errors import MotetError


@command
def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="One question; without it, a conversation.")
    ] = None,
    model: Annotated[str, typer.Option(help="An expert or a composition.")] = "auto",
    url: Annotated[str, typer.Option(help="The running service.")] = "http://127.0.0.1:8000",
    key: Key = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer, in tokens.")] = None,
) -> None:
    """Chat with a running service; /quit or Ctrl-D ends it, /new forgets the conversation."""
    messages: list[dict[str, str]] = []
    if prompt is not None:
        _turn(url, key, model, messages, prompt, max_tokens)
        return
    typer.secho(f"{model} at {url}. /new starts over, /quit ends.", dim=True)
    while True:
        try:
            text = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            typer.echo()
            return
        if text == "/quit":
            return
        if text == "/new":
            messages.clear()
        elif text:
            try:
                _turn(url, key, model, messages, text, max_tokens)
            except MotetError as error:
                fail(error)  # the next question may do better
            except KeyboardInterrupt:
                typer.echo()


def _turn(
    url: str,
    key: str | None,
    model: str,
    messages: list[dict[str, str]],
    text: str,
    max_tokens: int | None,
) -> None:
    """Send one user message, print the answer as it comes, and keep both."""
    import httpx

    from motet.cli.client import explain_failure, headers, unreachable

    body = {
        "model": model,
        "messages": [*messages, {"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "stream": True,
    }
    answer = []
    try:
        with httpx.stream(
            "POST",
            f"{url.rstrip('/')}/v1/chat/completions",
            json=body,
            headers=headers(key),
            timeout=httpx.Timeout(10, read=300),
        ) as response:
            if response.status_code >= 400:
                response.read()
                raise explain_failure(response)
            for event in _events(response):
                if "error" in event:
                    typer.echo()
                    raise MotetError(event["error"]["message"])
                for choice in event.get("choices", ()):
                    piece = choice["delta"].get("content") or ""
                    answer.append(piece)
                    typer.echo(plain(piece), nl=False)
            typer.echo()
            experts = response.headers.get("x-motet-experts", "")
            typer.secho(f"  {plain(experts)}", dim=True, err=True)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unreachable(url, error) from None
    messages += [
        {"role": "user", "content": text},
        {"role": "assistant", "content": "".join(answer)},
    ]


def _events(response: Any) -> Iterator[dict[str, Any]]:
    import orjson

    for line in response.iter_lines():
        if line.startswith("data:") and not line.endswith("[DONE]"):
            try:
                yield orjson.loads(line.removeprefix("data:"))
            except orjson.JSONDecodeError:
                raise MotetError(f"{response.url} sent what is no event: {line[:200]!r}.") from None
