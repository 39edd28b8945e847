"""`motet route`: decide without answering, and explain."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from motet.cli.bars import progress_bar
from motet.cli.console import ConfigOption, Json, Key, ServiceUrl, command, print_json, run

_ALL_READY = "every expert taken as ready; ask a running service with --url to see its fleet"


@command
def route(
    prompt: Annotated[str, typer.Argument(help="The user's message.")],
    model: Annotated[str, typer.Option(help="The composition to ask.")] = "auto",
    config: ConfigOption = "experts.yaml",
    url: ServiceUrl = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Show which expert would answer a prompt, and why."""
    if url is not None:
        from motet.cli.client import post

        decision = post(url, "/v1/route", {"model": model, "messages": _user(prompt)}, key)
    else:
        decision = run(_decide(config, model, prompt))
    if json:
        print_json(decision)
        return
    typer.secho(decision["primary"], bold=True, nl=False)
    typer.echo(f"  by {decision['router']}, confidence {decision['confidence']:g}")
    typer.echo(f"  because: {decision['reason']}")
    for choice in decision["experts"][1:]:
        typer.echo(f"  else {choice['id']} (weight {choice['weight']:g})")
    if url is None:
        typer.secho(f"  ({_ALL_READY})", dim=True)


async def _decide(config: str, model: str, prompt: str) -> dict[str, Any]:
    from motet.composer.assembly import assemble
    from motet.composer.explanation import decision_json
    from motet.composer.pipeline import Pipeline
    from motet.config import load
    from motet.experts.fleet import ReadyFleet
    from motet.types import Request

    parts = assemble(load(config))
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()))
    request = Request(model=model, messages=tuple(_user(prompt)))
    with progress_bar() as report:
        # Seconds of importing; minutes where an encoder's weights are not here yet.
        report(f"loading the routers of {model!r} and what they read prompts with", 0, 0)
        decision = await pipeline.decide(request)
    return decision_json(model, decision)


def _user(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]
