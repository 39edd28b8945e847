"""`motet apply`, `motet rollback`: a new config for a service that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from motet.cli.console import Json, Key, command, new_table, print_json
from motet.cli.learn import (
    Allowance,
    Budget,
    Learn,
    Prompts,
    Seconds,
    learn_into,
    show_learned,
    told,
)
from motet.service.patience import PATIENCE_S

Url = Annotated[
    str | None,
    typer.Option("--url", help="A service elsewhere; without it the one of this machine."),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Check it, and say what would change.")]
Wait = Annotated[float, typer.Option("--wait", help="Seconds that new experts have to come up.")]


_BESIDE_S = 60.0
"""Seconds that everything but waiting for experts may take."""


@command
def apply(
    config: Annotated[Path, typer.Argument(help="The config file.")] = Path("experts.yaml"),
    url: Url = None,
    key: Key = None,
    dry: Dry = False,
    wait: Wait = PATIENCE_S,
    learn: Learn = False,
    budget: Budget = None,
    prompts: Prompts = None,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Put a config in place of the running one, once what is new in it answers.

    With --learn, experts that routers do not know are then asked what tells most of them, and
    routers take what they have learned, as a new version beside the old one.
    """
    from motet.config import load

    document = load(config)  # what is wrong is told here, before anybody is asked
    body = {"config": document.text, "dry_run": dry, "wait_s": wait}
    applied = ask("/admin/config", body, config, url, key)
    if not learn or dry:
        _show(applied, dry, json)
        return
    if not json:
        show_changes(applied, dry)
    said = learn_into(config, service_at(config, url, key), Allowance(prompts, budget, seconds))
    if json:
        print_json(applied | {"learned": told(said)})
    else:
        show_learned(said)


@command
def rollback(
    number: Annotated[
        int | None, typer.Argument(help="The snapshot; the one before this config when absent.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="The service's file.")] = None,
    url: Url = None,
    key: Key = None,
    dry: Dry = False,
    listing: Annotated[bool, typer.Option("--list", help="List what was in place.")] = False,
    json: Json = False,
) -> None:
    """Put a config of before in place again."""
    if listing:
        _list(ask("/admin/snapshots", None, config, url, key), json)
        return
    body = {"to": number, "dry_run": dry}
    _show(ask("/admin/rollback", body, config, url, key), dry, json)


def ask(
    path: str, body: dict[str, Any] | None, config: Path | None, url: str | None, key: str | None
) -> dict[str, Any]:
    """Return what a service says: the one at `url`, or that of this machine with its own key."""
    from rich.console import Console

    from motet.cli import client

    url, key = service_at(config, url, key)
    with Console(stderr=True).status(f"Asking {url}"):
        if body is None:
            return client.get(url, path, key)
        patience_s = body.get("wait_s", PATIENCE_S) + _BESIDE_S
        return client.post(url, path, body, key, patience_s=patience_s)


def service_at(config: Path | None, url: str | None, key: str | None) -> tuple[str, str | None]:
    """Return URL and key of a service: the one at `url`, or that of this machine."""
    from motet.cli.services import service_of

    if url is not None:
        return url, key
    note = service_of(config)
    return note.url, note.key


def show_changes(applied: dict[str, Any], dry: bool) -> None:
    """Print what changes, or has changed."""
    from rich.console import Console

    console = Console()
    if not applied["changes"]:
        console.print("Nothing changes." if dry else "In place; nothing in it is new.")
        return
    table = new_table("", "name", "", "fields", "so")
    for each in applied["changes"]:
        fields = ", ".join(each["fields"])
        table.add_row(each["what"], each["name"], each["how"], fields, each["effect"])
    console.print(table)
    if dry:
        console.print("\nNothing was changed. Run it without --dry-run to put this in place.")
    else:
        said = f"\nIn place after {applied['seconds']:.1f} s, as {applied['hash']}"
        number = applied["snapshot"]
        console.print(f"{said}." if number is None else f"{said} (snapshot {number}).")


def _show(applied: dict[str, Any], dry: bool, json: bool) -> None:
    if json:
        print_json(applied)
    else:
        show_changes(applied, dry)


def _list(said: dict[str, Any], json: bool) -> None:
    if json:
        print_json(said["data"])
        return
    from rich.console import Console

    table = new_table("snapshot", "config", "in place since")
    for each in said["data"]:
        table.add_row(str(each["number"]), each["hash"], each["at"])
    Console().print(table)
