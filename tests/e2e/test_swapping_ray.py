"""More experts than memory on a real Ray: one swapper, and what happens when somebody dies."""

from __future__ import annotations

import re
import threading

import httpx
import psutil
import pytest
from tests.conftest import wait_for
from tests.e2e.conftest import processes_of, served

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

# Two fit. `endless` says a word and then nothing: only giving up ends its answers.
CONFIG = """
version: 1
experts:
  - {id: home, engine: fake-pool, tokens: [home], pinned: true, resources: {memory: 1MiB}}
  - {id: a, engine: fake-pool, tokens: [a], delay_s: 0.1, resources: {memory: 1MiB}}
  - {id: endless, engine: fake-pool, tokens: ["1", "2"], token_delay_s: 1000, resources: {memory: 1MiB}}
routers: {r: {kind: constant, expert: a}}
compositions: {auto: {router: r}}
residency: {memory: 2MiB, max_wait_s: 40, turn_s: 0.5}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swapping")
    config = folder / "experts.yaml"
    config.write_text(CONFIG)
    with served(config, folder / "log", "Press Ctrl-C", 120) as found:
        wait_for(lambda: states(found) == {"home": "ready", "a": "ready", "endless": "asleep"}, 20)
        yield found


def states(service):
    experts = service.get("/ready").json()["experts"]
    return {name: about["state"] for name, about in experts.items()}


def metric(service, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", service.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def says(service, model):
    answer = service.chat(model=model)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


class Endless:
    """A client in the middle of an answer that does not end."""

    def __init__(self, service):
        self._client = httpx.Client(timeout=60)
        body = {"model": "endless", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        self._answer = self._client.stream("POST", f"{service.url}/v1/chat/completions", json=body)
        lines = self._answer.__enter__().iter_lines()
        self._lines = lines  # dropped, it would close the connection
        assert "data" in next(lines)

    def leave(self):
        self._client.close()


def test_who_leaves_gives_the_place_back(service):
    client = Endless(service)
    wait_for(lambda: states(service) == {"home": "ready", "a": "asleep", "endless": "ready"})
    assert metric(service, 'motet_residency_bytes{of="used"}') == 2 * 2**20
    waiting = threading.Thread(target=client.leave)
    waiting.start()
    assert says(service, "a") == "a"
    waiting.join()
    assert metric(service, 'motet_residency_leases_total{expert="endless",outcome="waited"}') == 1


def test_many_clients_share_two_places(service):
    said = []
    threads = [
        threading.Thread(target=lambda m=m: said.append(says(service, m) == m))
        for m in ["a", "home"] * 12
    ]
    loads = metric(service, 'motet_residency_loads_total{engine="a",outcome="ok"}')
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 24
    assert metric(service, 'motet_residency_loads_total{engine="a",outcome="ok"}') == loads


def test_a_swapper_that_dies_finds_everything_as_it_was(service):
    def loads(expert):
        return metric(service, f'motet_residency_loads_total{{engine="{expert}",outcome="ok"}}')

    assert says(service, "a") == "a"
    before = loads("home"), loads("a")
    (swapper,) = processes_of(service.process.pid, "ServeReplica:motet-swapper")
    swapper.kill()
    psutil.wait_procs([swapper], timeout=10)
    assert [says(service, "home"), says(service, "a")] == ["home", "a"]  # they waited for it
    assert (loads("home"), loads("a")) == before
    client = Endless(service)  # and it can send somebody away
    wait_for(lambda: states(service)["a"] == "asleep")
    client.leave()


def test_the_leases_of_a_dead_ingress_are_freed(service):
    client = Endless(service)
    (ingress,) = processes_of(service.process.pid, "ServeReplica:motet:motet")
    ingress.kill()
    wait_for(lambda: _answers(service), 60)
    assert says(service, "a") == "a"  # the place of `endless`, whose answer nobody ended
    client.leave()


def test_a_replica_that_dies_is_loaded_anew(service):
    assert says(service, "home") == "home"
    (replica,) = processes_of(service.process.pid, "ServeReplica:motet-pool-home")
    replica.kill()
    wait_for(lambda: states(service)["home"] != "ready", 30)
    wait_for(lambda: states(service)["home"] == "ready", 60)  # it is pinned: nobody has to ask
    assert says(service, "home") == "home"


def _answers(service):
    try:
        return service.get("/ready").json()["experts"]["a"]["state"] in ("ready", "asleep")
    except (httpx.TransportError, ValueError, KeyError):
        return False
