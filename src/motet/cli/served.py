"""A service whose experts a command can ask: the one at a URL, or one of its own for a while."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from motet.errors import ConfigError, DeployError
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.config import Document
    from motet.experts import Expert


def chosen(document: Document, names: str | None) -> list[str]:
    """Return the experts that an option names, parted by commas; all of them without it.

    Raises
    ------
    ConfigError
        The config has no such expert.
    """
    known = [entry.id for entry in document.config.experts]
    wanted = names.split(",") if names else known
    for name in wanted:
        if name not in known:
            raise ConfigError(f"no expert {name!r} in {document.name}. {did_you_mean(name, known)}")
    return wanted


def caller(document: Document, name: str, url: str, key: str | None) -> Expert:
    """Return a caller of one expert of a running service."""
    from motet.experts import ENGINES
    from motet.experts.build import build
    from motet.weights import Setting, default_cache

    entry = next(entry for entry in document.config.experts if entry.id == name)
    engine = ENGINES.load("openai")
    options = engine.Config.model_validate(
        {"url": f"{url.rstrip('/')}/v1", "model": name, "api_key": key, "retries": 6}
        | {"read_timeout_s": 600.0}
    )
    return build(entry, Setting(document.folder, default_cache()), options, engine)


@contextmanager
def served(
    document: Document,
    url: str | None,
    wanted: Collection[str],
    key: str | None,
    down_s: float = 60.0,
) -> Iterator[str]:
    """Give the URL of a service whose `wanted` experts are ready; start one when there is none.

    Parameters
    ----------
    down_s
        How long an expert may be down before nobody waits for it any more; an engine that is
        replaced is down for a moment.

    Raises
    ------
    DeployError
        There is no such service, it does not serve a wanted expert, or one of them stays down.
    """
    from motet.cli.client import get
    from motet.experts.build import engine_of

    if url is not None:
        from rich.console import Console

        get(url, "/health", key)  # a service that is not there is no reason to wait
        with Console(stderr=True).status(f"Waiting for {', '.join(sorted(wanted))} at {url}"):
            _wait(url, wanted, key, down_s, alive=lambda: True)
        yield url
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    homes = {engine_of(entry).home for entry in document.config.experts}
    place = ["--host", "127.0.0.1", "--port", str(port)] + (["--local"] * ("vllm" not in homes))
    # In a group of its own: Ctrl-C is for the command, which then stops the service.
    process = subprocess.Popen(
        [sys.executable, "-m", "motet.cli.main", "serve", document.name, *place],
        stdout=sys.stderr,
        start_new_session=True,
    )
    try:
        own = f"http://127.0.0.1:{port}"
        _wait(own, wanted, key, down_s, alive=lambda: process.poll() is None)
        yield own
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.wait(60)


def _wait(
    url: str, wanted: Collection[str], key: str | None, down_s: float, alive: Callable[[], bool]
) -> None:
    """Wait until the wanted experts are ready, as long as the service is `alive`."""
    from motet.cli import client

    down_since: dict[str, float] = {}
    while alive():
        try:
            states = client.states(url, key)
        except DeployError:
            time.sleep(0.5)
            continue
        for name in wanted:
            if name not in states:
                raise DeployError(f"{url} serves no expert {name!r}. {did_you_mean(name, states)}")
        if all(states[name]["state"] == "ready" for name in wanted):
            return
        now = time.monotonic()
        down = {name for name in wanted if states[name]["state"] == "down"}
        down_since = {name: down_since.get(name, now) for name in down}
        for name, since in down_since.items():
            if now - since > down_s:
                reason = states[name]["reason"]
                raise DeployError(f"expert {name!r} of {url} is down ({reason}) and stays so.")
        time.sleep(0.5)
    raise DeployError("the service ended before its experts were ready.")
