"""`motet experts`: who is in the fleet, and who is to be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motet.cli.apply import Dry, Url, ask, service_at, show_changes
from motet.cli.console import ConfigOption, Json, Key, ServiceUrl, command, new_table, print_json
from motet.cli.learn import (
    Allowance,
    Budget,
    Learn,
    Prompts,
    Seconds,
    learn_into,
    show_learned,
)

app = typer.Typer(no_args_is_help=True)
ServiceConfig = Annotated[
    Path | None, typer.Option("--config", help="The service's file, where several run here.")
]
ExpertId = Annotated[str, typer.Argument(help="The expert's id.")]


@app.command("list")
@command
def list_experts(
    config: ConfigOption = "experts.yaml",
    url: ServiceUrl = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """List the experts of a config, or of a running service with their state."""
    rows = _configured(config) if url is None else _running(url, key)
    if json:
        print_json(rows)
        return
    from rich.console import Console

    table = new_table(*rows[0])
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


@app.command("add")
@command
def add(
    entry: Annotated[
        str, typer.Argument(help="Its entry in YAML, such as '{id: far, engine: openai, ...}'.")
    ],
    config: ServiceConfig = None,
    url: Url = None,
    key: Key = None,
    dry: Dry = False,
    learn: Learn = False,
    budget: Budget = None,
    prompts: Prompts = None,
    seconds: Seconds = None,
) -> None:
    """Add an expert to the config of a running service, and to the service."""
    _edit("add", entry, config, url, key, dry)
    if learn and not dry:
        _learn(_id(entry), config, url, key, Allowance(prompts, budget, seconds))


@app.command("learn")
@command
def learn_expert(
    expert: ExpertId,
    config: ServiceConfig = None,
    url: Url = None,
    key: Key = None,
    budget: Budget = None,
    prompts: Prompts = None,
    seconds: Seconds = None,
) -> None:
    """Ask an expert that routers do not know yet, so that they know whom to send what."""
    _learn(expert, config, url, key, Allowance(prompts, budget, seconds))


def _command(action: str, about: str) -> None:
    """Add a command that changes one expert which is there already."""

    @app.command(action, help=about)
    @command
    def edit(
        expert: ExpertId,
        config: ServiceConfig = None,
        url: Url = None,
        key: Key = None,
        dry: Dry = False,
    ) -> None:
        _edit(action, expert, config, url, key, dry)


_command("remove", "Remove an expert; answers that it has begun end as they should.")
_command("disable", "Ask an expert no more, and keep its entry; what it has begun it ends.")
_command("enable", "Ask a disabled expert again, once it has come up.")


@app.command("drain")
@command
def drain(
    expert: ExpertId,
    config: ServiceConfig = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Disable an expert, and wait until what it has begun is over."""
    _edit("drain", expert, config, url, key, dry=False)


def _edit(
    action: str, expert: str, config: Path | None, url: str | None, key: str | None, dry: bool
) -> None:
    body = {"action": action, "expert": expert, "dry_run": dry}
    show_changes(ask("/admin/experts", body, config, url, key), dry)


def _learn(
    expert: str, config: Path | None, url: str | None, key: str | None, bounds: Allowance
) -> None:
    from motet.cli.services import service_of
    from motet.errors import ConfigError

    if config is None and url is not None:
        raise ConfigError("--config names no file, and what is learned is written into it.")
    file = config or Path(service_of(None).config)
    show_learned(learn_into(file, service_at(file, url, key), bounds, only=expert))


def _id(entry: str) -> str:
    """Return the id in an entry that the service has taken, so that it has one."""
    import yaml

    return str(yaml.safe_load(entry)["id"])


def _configured(config: str) -> list[dict[str, Any]]:
    from motet.composer.assembly import assemble
    from motet.config import load

    return [
        {
            "expert": card.id,
            "engine": card.engine,
            "model": card.model,
            "context": card.context or "",
            "skills": ", ".join(card.skills),
            "price in/out": f"{card.price.input:g}/{card.price.output:g}",
            "license": card.license,
        }
        for card in (expert.card for expert in assemble(load(config)).experts.values())
    ]


def _running(url: str, key: str | None) -> list[dict[str, Any]]:
    from motet.cli.client import states

    return [
        {
            "expert": name,
            "state": about["state"],
            "reason": about["reason"],
            "optional": "yes" if about["optional"] else "",
        }
        for name, about in states(url, key).items()
    ]
