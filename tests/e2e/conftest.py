"""A whole service as a user starts it, and what asks it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from tests.conftest import free_port, wait_for

from motet.deploy import cluster


class Served:
    """A `motet serve` process on Ray.

    Attributes
    ----------
    seconds
        From the command to its first "Motet answers" line.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        command = [sys.executable, "-m", "motet.cli.main", "serve", str(config)]
        with log.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def seconds(self) -> float:
        return float(re.search(r"Motet answers at \S+ after (\d+) s", self.output)[1])

    def wait(self, text: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < end, f"no {text!r} in {seconds} s:\n{self.output}"
            time.sleep(0.2)

    def chat(
        self,
        content: str = "Name the capital of France in one sentence.",
        model: str = "auto",
        **fields,
    ):
        messages = [{"role": "user", "content": content}]
        body = {"model": model, "messages": messages, **fields}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=120)

    def get(self, path: str):
        return httpx.get(f"{self.url}{path}", timeout=30)


@contextmanager
def served(config: Path, log: Path, ready: str, seconds: float):
    """Serve `config` until it has printed `ready`; stop it as Ctrl-C does, and see it end."""
    found = Served(config, log)
    try:
        found.wait(ready, seconds)
        yield found
    finally:
        found.process.send_signal(signal.SIGINT)
        try:
            found.process.wait(60)
        finally:
            found.process.kill()
    assert "Stopping" in found.output


def processes_of(pid, title=""):
    """Return the processes below `pid` whose title in Ray begins so."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if not title or " ".join(process.cmdline()).startswith(f"ray::{title}"):
                    found.append(process)
    return found


def motet(*arguments):
    return [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]


class Node:
    """One `ray start`, in a process group and on ports of its own, as on a machine of its own."""

    def __init__(self, folder: Path, name: str, *options: str, **env: str) -> None:
        first = cluster._free_ports(cluster._PORTS)
        ports = {key: str(first + offset) for key, offset in cluster._PORT_SETTINGS.items()}
        place = folder / name
        place.mkdir()
        files = {key: str(place / file) for key, file in cluster._HAPROXY_FILES.items()}
        self.env = {**os.environ, **cluster.NODE_SETTINGS, **ports, **files, **env}
        # Time for HAProxy to hear on a busy machine that a replica leaves; Ray's default is 30 s.
        self.env["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = "5"
        ray = str(Path(sys.executable).parent / "ray")
        command = [ray, "start", "--block", "--disable-usage-stats", *options]
        self.log = place / "ray.log"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command, env=self.env, stdout=output, stderr=output, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it is up."""
        wait_for(lambda: "Ray runtime started" in self.log.read_text(), 60)

    def processes(self, title: str = "") -> list[psutil.Process]:
        """Return its processes whose title in Ray begins so."""
        return processes_of(self.process.pid, title)

    def kill(self) -> None:
        """End all of it at once, as a power cut does."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.wait(10)


@contextmanager
def ray_of(count):
    """A Ray as `ray start` makes it, of nodes with a planned device each, if only by its word.

    Yields its address and environment.
    """
    with ExitStack() as stack:
        # HAProxy's sockets stand there, and a socket's path must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", prefix="m-")))
        port = free_port()
        address = f"127.0.0.1:{port}"
        nodes = []
        for gpu in range(count):
            head = ["--head", f"--port={port}", "--include-dashboard=false"]
            device = f'--resources={{"motet-gpu-{gpu}": 1}}'
            options = [*([f"--address={address}"] if gpu else head), "--num-gpus=1", device]
            env = {"CUDA_VISIBLE_DEVICES": f"{gpu}"}
            nodes.append(Node(folder, f"{gpu}", *options, "--num-cpus=4", **env))
            stack.callback(nodes[-1].kill)
            nodes[-1].wait()
        yield address, {**nodes[0].env, "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def joined_ray():
    """A Ray of one node."""
    with ray_of(1) as found:
        yield found
