"""A Ray that runs already: `motet serve --address` joins it, `motet deploy` applies to it."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import motet, ray_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """
version: 1
routers: {r: {kind: constant, expert: echo}}
compositions: {auto: {router: r}}
experts:
  - {id: echo, engine: fake}
"""
POOLS = """
  - {id: a, engine: fake-pool, resources: {gpus: 0.5, device: gpu-1}}
  - {id: b, engine: fake-pool, resources: {gpus: 0.2, device: gpu-0}}
  - {id: c, engine: fake-pool, resources: {gpus: 0.4, device: gpu-1}}
  - id: twins
    engine: fake-pool
    sign: true
    resources: {replicas: {min: 2, max: 2, prefix_affinity: true}}
"""


@pytest.fixture(scope="module")
def two_nodes():
    with ray_of(2) as found:
        yield found


@pytest.fixture
def config(tmp_path):
    port = free_port()
    path = tmp_path / "experts.yaml"
    path.write_text(f"service: {{port: {port}}}\n{CONFIG}")
    return path, f"http://127.0.0.1:{port}"


def answers(url):
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    try:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=10)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and "hello" in answer.text


def test_serve_and_deploy(two_nodes, config):
    """One test, since Serve's address is set once for the life of a Ray."""
    address, env = two_nodes
    path, url = config
    serving = subprocess.Popen(motet("serve", path, "--address", address), env=env)
    wait_for(lambda: answers(url), 90)
    serving.send_signal(signal.SIGINT)
    assert serving.wait(60) == 130
    wait_for(lambda: not answers(url), 20)  # taken down, and Ray left up

    path.write_text(path.read_text() + POOLS)
    deployed = subprocess.run(
        motet("deploy", path, "--address", address),
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert deployed.returncode == 0, deployed.stderr
    assert "Applied 5 applications" in deployed.stdout
    wait_for(lambda: answers(url), 90)
    experts_live_on_their_devices(url, address, env)
    conversations_stay_with_the_replica_that_read_them(url)


WHERE = """
import asyncio, sys, ray
from motet.deploy.applications import Applications
from motet.deploy.names import pool_of

async def main():
    for expert in "abc":
        print((await Applications().call(pool_of(expert), "standing")).device)

ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
asyncio.run(main())
"""


def experts_live_on_their_devices(url, address, env):
    def ready():
        experts = httpx.get(f"{url}/ready").json()["experts"]
        return all(experts[expert]["state"] == "ready" for expert in "abc")

    wait_for(ready, 60)
    asked = subprocess.run(
        [sys.executable, "-c", WHERE, address], env=env, capture_output=True, text=True, timeout=60
    )
    assert asked.returncode == 0, asked.stderr
    a, b, c = asked.stdout.split()
    assert a == c != b
    assert (a.partition(":")[2], b.partition(":")[2]) == ("gpu-1", "gpu-0")


def conversations_stay_with_the_replica_that_read_them(url):
    def ask(text):
        body = {"model": "twins", "messages": [{"role": "user", "content": text}]}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"].split()[0]

    wait_for(lambda: httpx.get(f"{url}/ready").json()["experts"]["twins"]["state"] == "ready", 60)
    wait_for(lambda: len({ask("short") for _ in range(8)}) == 2, 60)  # both replicas are up
    talks = {number: f"conversation {number} " * 40 for number in range(12)}
    homes = {number: ask(talk) for number, talk in talks.items()}
    assert len(set(homes.values())) == 2
    for turn in range(3):
        talks = {number: f"{talk} turn {turn} " * 2 for number, talk in talks.items()}
        assert {number: ask(talk) for number, talk in talks.items()} == homes


def test_no_ray_there(config):
    path, _ = config
    env = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    gone = subprocess.run(
        motet("serve", path, "--address", "127.0.0.1:9"),
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert gone.returncode == 1
    assert "Cannot join Ray at 127.0.0.1:9" in gone.stderr
