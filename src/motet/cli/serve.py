"""`motet serve`: the whole service in the foreground."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.console import ConfigPath, command, run, setup_logs
from motet.errors import MotetError, SourceError

if TYPE_CHECKING:
    from motet.cli.progress import Screen
    from motet.composer.parts import Parts
    from motet.config import Document

Apply = Callable[[], Awaitable[dict[str, Any]]]
"""Puts the config's file in place; returns what has changed."""
_WATCH_S = 0.5


@command
def serve(
    config: ConfigPath = "experts.yaml",
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Join the Ray at this address, or 'auto', and leave it up.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="One process, no Ray: transformers, openai and fake.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Apply the file whenever it changes.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show logs.")] = False,
) -> None:
    """Serve a config until Ctrl-C; answers as soon as the first expert is up."""
    from motet.cli.progress import Screen
    from motet.composer.assembly import assemble
    from motet.config import load
    from motet.operations import logs

    setup_logs(verbose)
    began = time.monotonic()
    place = {"host": host, "port": port}
    document = load(config).with_service(**place)
    logs.begin(document.config.telemetry)
    parts = assemble(document)  # every problem is told before anything starts
    screen = Screen(document, began)
    if local:
        from uvicorn.loops.auto import auto_loop_factory  # uvloop's where it is installed

        run(_serve_here(parts, screen, place, watch), auto_loop_factory())
    else:
        _serve_on_ray(document, screen, address, watch)


async def _serve_here(parts: Parts, screen: Screen, place: Mapping[str, Any], watch: bool) -> None:
    """Run the app in this process."""
    from motet.api import create_app
    from motet.api.address import check_port
    from motet.api.server import Server
    from motet.cli.services import noted
    from motet.operations.callers import hash_of
    from motet.service.memory import keep_collections_short
    from motet.service.motet import Motet
    from motet.service.register import Register

    service = parts.document.config.service
    check_port(service.host, service.port)
    motet = Motet(parts)
    register = Register(motet, place)
    register.begin()
    with noted(parts.document) as key:
        app = create_app(
            motet,
            beside=[keep_collections_short],
            register=register,
            admin_hash=hash_of(key.encode()),
        )
        server = Server(app, service)

        async def applied() -> dict[str, Any]:
            return (await register.apply()).json()

        beside = [_announce(motet, screen)] + (
            [_watch(parts.document, applied, screen)] if watch else []
        )
        tasks = [asyncio.create_task(work) for work in beside]
        try:
            await server.serve()
        finally:
            for task in tasks:
                task.cancel()


async def _watch(document: Document, apply: Apply, screen: Screen) -> None:
    """Apply the config's file whenever it has changed."""
    path = document.path
    assert path is not None, "the command line reads a file"
    seen = path.stat().st_mtime_ns
    while True:
        await asyncio.sleep(_WATCH_S)
        try:
            now = path.stat().st_mtime_ns
        except OSError:  # an editor is putting the new one in its place
            continue
        if now == seen:
            continue
        seen = now
        try:
            applied = await apply()
        except MotetError as error:
            screen.note(f"{path.name} has changed, and is not in place: {error}")
        else:
            changed = ", ".join(f"{each['name']} {each['how']}" for each in applied["changes"])
            screen.note(f"{path.name} is in place: {changed or 'nothing is new'}.")


def _asked(document: Document, key: str) -> Apply:
    """Return what has a service on Ray apply its file, over HTTP as anybody else would."""
    from motet.cli.client import post

    service = document.config.service
    url = f"http://{service.host}:{service.port}"

    async def apply() -> dict[str, Any]:
        return await asyncio.to_thread(post, url, "/admin/config", {}, key, patience_s=900.0)

    return apply


async def _announce(motet: Any, screen: Screen) -> None:
    await motet.fleet.ready()
    screen.ready({name: m.health.state.value for name, m in motet.fleet.view.items()})


def _serve_on_ray(document: Document, screen: Screen, address: str | None, watch: bool) -> None:
    """Start or join Ray, run the graph on it, and wait."""
    from motet.api.address import check_port
    from motet.cli.services import noted
    from motet.deploy import cluster

    service = document.config.service
    cluster.check(document)
    if address is None:
        check_port(service.host, service.port)
        cluster.prepare_environment()
    try:
        with screen.step("Starting Ray" if address is None else f"Joining Ray at {address}"):
            cluster.start(document, address)
        _stop_on_signals()
        with noted(document) as key:
            _deploy(document, screen, fetch_here=address is None, key=key)
            screen.note("Press Ctrl-C to stop.")
            if watch:
                asyncio.run(_watch(document, _asked(document, key), screen))
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        with screen.step("Stopping"):
            cluster.stop(address)


def _stop_on_signals() -> None:
    """Let SIGTERM stop the service as Ctrl-C does; Ray has just put handlers of its own."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def _deploy(document: Document, screen: Screen, *, fetch_here: bool, key: str) -> None:
    """Run the ingress and the pools, and show the fleet as it grows."""
    from motet.deploy import graph
    from motet.deploy.arguments import (
        adapters,
        ingress_arguments,
        pool_arguments,
        pools_of,
        swapper_arguments,
    )
    from motet.operations.callers import hash_of

    pools = list(pools_of(document))
    with screen.step("Starting the ingress"):
        graph.run_ingress(ingress_arguments(document, hash_of(key.encode())))
    swapped = document.config.residency is not None
    if swapped:
        with screen.step("Starting the swapper"):
            graph.run_swapper(swapper_arguments(document))
    _show(document, screen)
    # One after another, so that the first expert has the machine to itself.
    for name, entry in pools:
        title = f"Starting {', '.join([name, *adapters(document, name)])}"
        try:
            if fetch_here:
                screen.fetch(entry)
        except SourceError as error:
            screen.failed(title, str(error))  # the others are not to suffer for it
            continue
        with screen.step(title) as step:
            arguments = pool_arguments(document, name, swapped=swapped)
            step.failure = graph.run_pool(arguments) or ""
        _show(document, screen, name)


def _show(document: Document, screen: Screen, expert: str | None = None) -> None:
    """Show the fleet as clients see it, once the ingress has noticed that `expert` is up."""
    from motet.cli.client import get

    service = document.config.service
    for _ in range(20):
        report = get(f"http://{service.host}:{service.port}", "/ready")["experts"]
        states = {name: about["state"] for name, about in report.items()}
        if expert is None or states[expert] != "starting":
            break
        time.sleep(0.25)
    if "ready" in states.values():
        screen.ready(states)
