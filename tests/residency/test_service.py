"""A service whose experts come and go: over HTTP, with scripted experts that have to be loaded."""

import threading
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.conftest import Service, wait_for, with_store
from tests.residency.helpers import HeldFake

from motet.api import create_app
from motet.composer.assembly import assemble
from motet.config import parse
from motet.experts import ENGINES
from motet.service.motet import Motet
from motet.types import State

CONFIG = """
version: 1
experts:
  - {id: home, engine: fake, tokens: [home], pinned: true, resources: {memory: 1MiB}}
  - {id: a, engine: fake, tokens: [a], resources: {memory: 1MiB}}
  - {id: b, engine: fake, tokens: [b], resources: {memory: 1MiB}}
  - {id: huge, engine: fake, resources: {memory: 4MiB}, optional: true}
routers:
  rules:
    kind: symbolic
    rules: [{name: b, when: "mentions(['bee'])", use: [b, home]}]
  front: {kind: chain, of: [rules], fallback: a}
  stuck: {kind: constant, expert: huge, fallbacks: [home]}
compositions:
  auto: {router: front}
  stuck: {router: stuck}
residency: {memory: 2MiB, max_wait_s: 20, turn_s: 0.2}
service: {health_interval_s: 0.02}
"""


def build(entry, options, setting):
    engine = HeldFake if entry.engine == "fake" else ENGINES.load(entry.engine)
    return engine(entry, options, setting)


@pytest.fixture
def service(tmp_path):
    HeldFake.up.clear()
    HeldFake.starts.clear()
    document = with_store(parse(CONFIG, folder=Path.cwd()), tmp_path / "store.db")
    motet = Motet(assemble(document, build))
    server = uvicorn.Server(uvicorn.Config(create_app(motet), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    found = Service(f"http://127.0.0.1:{port}", motet)
    wait_for(lambda: states(found)["home"] == "ready")
    yield found
    server.should_exit = True
    thread.join(10)
    assert not HeldFake.up, "closing unloads everything"


def states(service):
    experts = service.get("/ready").json()["experts"]
    return {name: about["state"] for name, about in experts.items()}


def test_an_expert_that_sleeps_is_eligible_and_is_woken(service):
    wait_for(lambda: states(service)["a"] == "ready")  # it fitted, and nobody waited
    assert states(service) == {"home": "ready", "a": "ready", "b": "asleep", "huge": "down"}
    answer = service.chat("a bee")
    assert answer.json()["choices"][0]["message"]["content"] == "b"
    assert answer.headers["x-motet-experts"] == "b"
    wait_for(lambda: states(service)["b"] == "ready")
    assert states(service)["a"] == "asleep"
    assert HeldFake.starts == ["home", "a", "b"]
    ready = service.get("/ready").json()
    assert ready["ready"] and ready["complete"]
    assert "loads in about" in ready["experts"]["a"]["reason"]
    listed = {m["id"]: m["motet"].get("state") for m in service.get("/v1/models").json()["data"]}
    assert listed["b"] == "ready" and listed["a"] == "asleep"


def test_streams_from_many_clients_over_one_place(service):
    """Answers come from whoever was asked, and memory holds two experts at most."""
    most = 0
    done = threading.Event()

    def look():
        nonlocal most
        while not done.is_set():
            most = max(most, len(HeldFake.up))

    watching = threading.Thread(target=look)
    watching.start()
    said = []

    def ask(model):
        with httpx.stream(
            "POST",
            f"{service.url}/v1/chat/completions",
            json={
                "model": model,
                "stream": True,
                "messages": [{"role": "user", "content": "x"}],
            },
            timeout=30,
        ) as answer:
            text = "".join(answer.iter_text())
        said.append((model, f'"content":"{model}"' in text))

    threads = [threading.Thread(target=ask, args=(m,)) for m in ["a", "b", "home"] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    watching.join()
    assert len(said) == 24 and all(right for _, right in said)
    assert most == 2
    assert HeldFake.starts.count("home") == 1


def test_what_can_never_fit_says_so_and_others_stand_in(service):
    refused = service.chat("x", model="huge")
    assert refused.status_code == 503
    assert (
        "it takes 4MiB, and residency.memory has 1MiB beside what is pinned (home)"
        in (refused.json()["error"]["message"])
    )
    answer = service.chat("x", model="stuck")
    assert answer.json()["choices"][0]["message"]["content"] == "home"


def test_a_broken_engine_is_made_anew(service):
    wait_for(lambda: states(service)["a"] == "ready")
    loaded = service.motet.swapper.engines.expert("a")
    loaded.options = loaded.options.model_copy(update={"down": "its worker has ended"})
    wait_for(lambda: states(service)["a"] == "asleep")
    answer = service.chat("x", model="a")
    assert answer.json()["choices"][0]["message"]["content"] == "a"
    assert HeldFake.starts.count("a") == 2


def test_metrics(service):
    service.chat("a bee")
    text = service.get("/metrics").text
    assert 'motet_residency_leases_total{expert="b",outcome="waited"} 1.0' in text
    assert 'motet_residency_loads_total{engine="b",outcome="ok"} 1.0' in text
    assert 'motet_residency_bytes{of="used"} 2.097152e+06' in text
    assert 'motet_expert_ready{expert="a"} 1.0' in text  # asleep counts: it answers when asked


async def test_python_programs_have_it_too():
    HeldFake.up.clear()
    async with Motet(assemble(parse(CONFIG), build)) as motet:
        for model in ("a", "b", "home", "a"):
            assert str(await motet.chat(model, "x")) == model
        assert motet.fleet.view["huge"].health.state is State.DOWN
    assert not HeldFake.up


async def test_a_swapper_that_comes_with_a_new_config_is_watched_too():
    with_residency = parse(CONFIG)
    without = parse(CONFIG.replace("residency: {memory: 2MiB, max_wait_s: 20, turn_s: 0.2}\n", ""))
    watcher = object()
    motet = Motet(without, make=lambda _: build)
    motet.watch_swaps(watcher)
    assert motet.swapper is None
    motet.replace(with_residency)
    assert motet.swapper.watcher is watcher
