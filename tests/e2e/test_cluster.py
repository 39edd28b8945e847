"""A Ray of three nodes, under load while one thing after another is killed.

Every request must end with an answer or a clear error before its deadline, and the service must
recover by itself. Recovery times are printed (`pytest -s`).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import Node, motet

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

DEADLINE_S = 30.0
REQUESTS = 240
POOL, INGRESS = "ServeReplica:motet-pool-echo", "ServeReplica:motet:motet"


@pytest.fixture(scope="module")
def nodes():
    with ExitStack() as stack:
        # HAProxy's sockets stand there, and a socket's path must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", prefix="m-")))
        port = free_port()
        head = Node(folder, "head", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false")  # fmt: skip
        stack.callback(head.kill)
        head.wait()
        address = f"127.0.0.1:{port}"
        workers = []
        for name in ("left", "right"):
            worker = Node(folder, name, f"--address={address}", "--num-cpus=4")
            stack.callback(worker.kill)
            worker.wait()
            workers.append(worker)
        yield address, head, workers


CONFIG = {
    "version": 1,
    "experts": [
        {
            "id": "echo",
            "engine": "fake-pool",
            "delay_s": 0.2,
            "token_delay_s": 0.05,
            "resources": {"replicas": {"min": 2, "max": 2, "per_node": 1}},
        }
    ],
    "routers": {"r": {"kind": "constant", "expert": "echo"}},
    "compositions": {"auto": {"router": "r"}},
}


class Service:
    """The service on those nodes."""

    def __init__(self, address: str, nodes: list[Node], folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.nodes = nodes
        self._address, self._env, self._folder = address, nodes[0].env, folder
        # A proxy on each of these nodes would fight the others for one port of one machine, and
        # the loser keeps the replicas that it knew.
        options = [f"--address={address}", f"--http-port={self.port}", "--proxy-location=HeadOnly"]
        serve = str(Path(sys.executable).parent / "serve")
        subprocess.run([serve, "start", *options], env=self._env, check=True, timeout=60)

    def processes(self, title: str) -> list[psutil.Process]:
        """Return the processes of that title on all nodes."""
        return [process for node in self.nodes for process in node.processes(title)]

    def deploy(self, **changes) -> None:
        """Apply the config, with other top-level parts."""
        path = self._folder / "experts.yaml"
        service = {"port": self.port, "replicas": 2}
        path.write_text(yaml.safe_dump({**CONFIG, "service": service, **changes}))
        done = subprocess.run(
            motet("deploy", path, "--address", self._address),
            env=self._env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr

    def answers(self) -> bool:
        """Return whether it answers now."""
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        with suppress(httpx.TransportError):
            found = httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=5)
            return found.status_code == 200 and "hello" in found.text
        return False

    async def _ask(self, client: httpx.AsyncClient, number: int) -> tuple[str, float, float]:
        """Return how a request ended, when, and after how long."""
        said = f"word {number} of many"
        body = {"model": "auto", "messages": [{"role": "user", "content": said}]}
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE_S):
                got = await client.post("/v1/chat/completions", json=body)
        except TimeoutError:
            end = "lost"
        except httpx.TransportError as error:
            end = type(error).__name__
        else:
            if got.status_code == 200:
                text = got.json()["choices"][0]["message"]["content"].strip()
                end = "answer" if text == said else f"wrong: {text}"
            elif got.headers["content-type"].startswith("application/json"):
                end = f"{got.status_code}: {got.json()['error']['message']}"
            else:
                end = f"{got.status_code}: {got.text}"
        now = time.monotonic()
        return end, now, now - began

    async def _under_load(self, strike, rate: float) -> list[tuple[str, float, float]]:
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.url, timeout=60, limits=limits) as client:
            tasks = []
            for number in range(REQUESTS):
                if number == REQUESTS // 6:
                    tasks.append(asyncio.create_task(asyncio.to_thread(strike)))
                tasks.append(asyncio.create_task(self._ask(client, number)))
                await asyncio.sleep(1 / rate)
            ends = await asyncio.gather(*tasks)
        return [end for end in ends if end is not None]

    def under_load(self, name: str, strike, whole=lambda: True, rate: float = 20.0) -> Counter:
        """Ask while `strike` runs, wait until all is whole, print and return how they ended."""
        struck: list[float] = []

        def now() -> None:
            struck.append(time.monotonic())
            strike()

        ends = asyncio.run(self._under_load(now, rate))
        wait_for(lambda: whole() and self.answers(), 120)
        found = Counter(end for end, _, _ in ends)
        bad = [when - struck[0] for end, when, _ in ends if end != "answer"]
        print(
            f"\n{name}: {dict(found)}, slowest {max(took for _, _, took in ends):.1f} s, "
            f"last failure {max(bad, default=0.0):.1f} s after, whole again "
            f"{time.monotonic() - struck[0]:.1f} s after"
        )
        assert found["lost"] == 0
        assert sum(found.values()) == REQUESTS
        assert not any(end.startswith("wrong") for end in found)
        return found


@pytest.fixture(scope="module")
def service(nodes, tmp_path_factory):
    address, head, workers = nodes
    found = Service(address, [head, *workers], tmp_path_factory.mktemp("service"))
    found.deploy()
    wait_for(found.answers, 120)
    wait_for(lambda: len(found.processes(POOL)) == 2, 60)
    return found


def test_replicas_are_spread(service):
    assert sorted(len(node.processes(POOL)) for node in service.nodes) == [0, 1, 1]


@pytest.mark.parametrize(
    ("title", "count", "least"),
    [(POOL, 2, 0.9 * REQUESTS), (INGRESS, 2, 0.9 * REQUESTS), ("ServeController", 1, REQUESTS)],
    ids=["replica", "ingress", "controller"],
)
def test_a_process_dies(service, title, count, least):
    """Answers that a replica had begun end with its error, and an ingress's connections with it."""
    found = service.under_load(
        title,
        lambda: service.processes(title)[0].kill(),
        lambda: len(service.processes(title)) == count,
    )
    assert found["answer"] >= least


def test_a_new_config_rolls_out(service):
    changed = {**CONFIG["experts"][0], "delay_s": 0.1}
    more = {"id": "other", "engine": "fake-pool"}
    old = {process.pid for process in service.processes(POOL)}

    def rolled():
        new = {process.pid for process in service.processes(POOL)}
        return len(new) == 2 and not new & old

    found = service.under_load(
        "a new config", lambda: service.deploy(experts=[changed, more]), rolled
    )
    assert found["answer"] == REQUESTS
    # The ingress has two replicas, which are replaced one after the other.
    wait_for(lambda: "other" in httpx.get(f"{service.url}/v1/models").text, 120)


def test_a_node_dies(service, nodes):
    """The head stands in for it: both replicas find a node of their own again."""
    _, _, workers = nodes
    victim = next(node for node in workers if node.processes(POOL))
    found = service.under_load("a node", victim.kill, lambda: len(service.processes(POOL)) == 2)
    assert found["answer"] >= 0.9 * REQUESTS
