"""A whole service as a user starts it, and what asks it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

from conftest import free_port


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

    def chat(self, content: str = "What is the capital of France?", model: str = "auto", **fields):
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
