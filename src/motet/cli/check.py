"""`motet check`: is a config right? No GPU, no network, no model library."""

from __future__ import annotations

import typer

from motet.cli.console import ConfigPath, Json, command, print_json
from motet.errors import ConfigError


@command
def check(config: ConfigPath = "experts.yaml", json: Json = False) -> None:
    """Check a config file and name every problem with its line."""
    from motet.composer.assembly import assemble
    from motet.config import load

    try:
        document = load(config)
        parts = assemble(document)
    except ConfigError as error:
        if not json:
            raise
        print_json({"valid": False, "problems": error.problems})
        raise typer.Exit(1) from None
    experts = [entry.id for entry in document.config.experts]
    compositions = list(document.config.compositions)
    if json:
        print_json({"valid": True, "experts": experts, "compositions": compositions})
        return
    typer.echo(
        f"{config} is right: {len(experts)} experts ({', '.join(experts)}), "
        f"{len(document.config.routers)} routers, {len(compositions)} compositions"
        f"{': ' if compositions else ''}{', '.join(compositions)}."
    )
    for expert in parts.experts.values():
        if expert.card.license:
            typer.echo(f"  {expert.card.id}: {expert.card.license}")
