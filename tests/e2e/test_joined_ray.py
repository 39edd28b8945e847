"""A Ray that runs already: `motet serve --address` joins it, `motet deploy` applies to it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from conftest import free_port, wait_for
from motet.deploy import cluster

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """
version: 1
experts: [{id: echo, engine: fake}]
routers: {r: {kind: constant, expert: echo}}
compositions: {auto: {router: r}}
"""


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """A Ray of one node as `ray start` makes it; yields its address and environment."""
    folder = tmp_path_factory.mktemp("joined")
    first = cluster._free_ports(cluster._PORTS)
    ports = {name: str(first + offset) for name, offset in cluster._PORT_SETTINGS.items()}
    env = {**os.environ, **cluster._SETTINGS, **ports}
    env["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = "0.5"
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "ray"),
        "start",
        "--head",
        "--block",
        f"--port={port}",
    ]
    options = ["--num-cpus=4", "--include-dashboard=false", "--disable-usage-stats"]
    log = folder / "ray.log"
    with log.open("w") as output:
        node = subprocess.Popen([*command, *options], env=env, stdout=output, stderr=output)
    try:
        wait_for(lambda: "Ray runtime started" in log.read_text(), 60)
        yield f"127.0.0.1:{port}", env
    finally:
        node.terminate()
        node.wait(60)


@pytest.fixture
def config(tmp_path):
    port = free_port()
    path = tmp_path / "experts.yaml"
    path.write_text(f"{CONFIG}service: {{port: {port}}}\n")
    return path, f"http://127.0.0.1:{port}"


def motet(*arguments):
    return [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]


def answers(url):
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    try:
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=10)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and "hello" in answer.text


def test_serve_and_deploy(ray, config):
    """One test, since Serve's address is set once for the life of a Ray."""
    address, env = ray
    path, url = config
    serving = subprocess.Popen(motet("serve", path, "--address", address), env=env)
    wait_for(lambda: answers(url), 90)
    serving.send_signal(signal.SIGINT)
    assert serving.wait(60) == 130
    wait_for(lambda: not answers(url), 20)  # taken down, and Ray left up

    deployed = subprocess.run(
        motet("deploy", path, "--address", address),
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert deployed.returncode == 0, deployed.stderr
    assert "Applied 1 applications" in deployed.stdout
    wait_for(lambda: answers(url), 90)


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
