"""A whole service as a user starts it, and what asks it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
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


@pytest.fixture(scope="module")
def joined_ray(tmp_path_factory):
    """A Ray of two nodes as `ray start` makes it, a GPU each, if only by what Ray is told.

    Yields its address and environment.
    """
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
    head = [*command, "--num-cpus=4", "--include-dashboard=false"]
    address = f"127.0.0.1:{port}"
    joins = [*command[:2], "--block", f"--address={address}", "--num-cpus=4"]
    nodes = []
    try:
        for gpu, start in enumerate([head, joins]):
            log = folder / f"ray-{gpu}.log"
            told = [
                "--num-gpus=1",
                f'--resources={{"motet-gpu-{gpu}": 1}}',
                "--disable-usage-stats",
            ]
            with log.open("w") as output:
                its = {**env, "CUDA_VISIBLE_DEVICES": str(gpu)}
                nodes.append(subprocess.Popen([*start, *told], env=its, stdout=output, stderr=output))  # fmt: skip
            wait_for(lambda log=log: "Ray runtime started" in log.read_text(), 60)
        yield address, env
    finally:
        for node in nodes:  # at once: a node that is asked to go waits for its replicas first
            for process in processes_of(node.pid):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            node.kill()
            node.wait(10)
