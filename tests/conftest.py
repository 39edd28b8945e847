"""What tests share: a real service in a thread, on fake experts through the production seam."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import hypothesis
import pytest

from motet.api import create_app
from motet.api.server import Server
from motet.config import Document, Store, parse
from motet.service.motet import Motet
from motet.store.place import StorePlace
from tests.postgres import Postgres, postgres

# Speed is measured in benchmarks; a busy machine must not fail a property.
hypothesis.settings.register_profile("motet", deadline=None)
hypothesis.settings.load_profile("motet")

# A line a request would bury what a failed test has to say.
logging.getLogger("httpx").setLevel(logging.WARNING)

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, context: 200, price: {input: 1, output: 2}}
  - {id: coder, engine: fake, tokens: [code, " here"]}
  - {id: breaks, engine: fake, tokens: [a, b, c], fail_after: 2}
  - {id: dead, engine: fake, fail_after: 0, error: unavailable}
  - {id: offline, engine: fake, down: gone fishing, optional: true}
  - {id: slow, engine: fake, tokens: ["1", "2", "3"], token_delay_s: 30}
routers:
  rules:
    kind: symbolic
    rules:
      - {name: code, when: "has_code || mentions(['sql'])", use: [coder]}
  front: {kind: chain, of: [rules], fallback: echo}
  shaky: {kind: constant, expert: dead, fallbacks: [echo]}
  hopeless: {kind: constant, expert: dead, fallbacks: [dead2]}
compositions:
  auto: {router: front, description: the usual}
  shaky: {router: shaky}
  hopeless: {router: hopeless}
  brief: {router: shaky, limits: {deadline_s: 0.3}}
""".replace(
    "  - {id: offline",
    "  - {id: dead2, engine: fake, fail_after: 0, error: overloaded}\n  - {id: offline",
)


@dataclass
class Service:
    """A running service.

    Attributes
    ----------
    motet
        The object behind it, to look at the fleet from inside.
    """

    url: str
    motet: Motet

    def post(self, path: str, body: object, **options: object) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=30, **options)

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, **options)

    def chat(
        self, content: str = "hello there", model: str = "auto", **fields: object
    ) -> httpx.Response:
        messages = [{"role": "user", "content": content}]
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **fields})


@contextmanager
def running(config: str | Document, **options: float) -> Iterator[Service]:
    """Serve a config on a free port of the loopback interface; paths of a text start here.

    `options` are those of `create_app`.
    """
    document = parse(config, folder=Path.cwd()) if isinstance(config, str) else config
    with tempfile.TemporaryDirectory() as folder:
        yield from _running(with_store(document, Path(folder) / "store.db"), **options)


def with_store(document: Document, path: Path) -> Document:
    """Return a copy that keeps things in a SQLite file, unless it says where itself."""
    if document.config.store != Store():
        return document
    copy = replace(document)
    copy.config = document.config.model_copy(update={"store": Store(path=path)})
    return copy


def _running(document: Document, **options: float) -> Iterator[Service]:
    motet = Motet(document)
    server = Server(create_app(motet, **options), document.config.service, port=0, grace_s=1)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 10)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Service(f"http://127.0.0.1:{port}", motet)
    finally:
        server.should_exit = True
        thread.join(10)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `condition` holds; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """The service of `FLEET`."""
    with running(FLEET) as found:
        wait_for(lambda: found.get("/ready").json()["experts"]["echo"]["state"] == "ready")
        yield found


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what a service keeps by default out of the home of whoever runs the tests."""
    os.environ["MOTET_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres(free_port()) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StorePlace]:
    """What gives a new place for a store each time, in each kind of database."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgresql")
        return lambda: server.place(tmp_path)
    numbers = iter(range(1000))
    return lambda: StorePlace.file(tmp_path / f"store-{next(numbers)}.db")


@pytest.fixture
def place(places: Callable[[], StorePlace]) -> StorePlace:
    """A new place for a store, in each kind of database."""
    return places()
