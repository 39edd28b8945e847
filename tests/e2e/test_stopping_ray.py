"""`motet serve` on Ray is told to stop: streams under way end, and nobody reads of Ray."""

import json
import signal
import threading
import time

import httpx
import pytest
from tests.e2e.conftest import Served

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """
version: 1
routers: {r: {kind: constant, expert: slow}}
compositions: {auto: {router: r}}
experts:
  - {id: slow, engine: fake-pool, token_delay_s: 0.5}
"""


class Stream:
    """A stream under way, read by a thread of its own."""

    def __init__(self, service: Served, words: int) -> None:
        self.pieces, self.events, self.fault = [], [], ""
        self._url, self._text = service.url, "word " * words
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        body = {
            "model": "auto",
            "stream": True,
            "messages": [{"role": "user", "content": self._text}],
        }
        try:
            with httpx.stream(
                "POST", f"{self._url}/v1/chat/completions", json=body, timeout=120
            ) as got:
                for line in got.iter_lines():
                    if line.startswith("data:"):
                        self.events.append(line.removeprefix("data: "))
        except httpx.TransportError as error:
            self.fault = repr(error)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_streams_end_and_nothing_of_ray_is_printed(tmp_path, stop):
    config = tmp_path / "experts.yaml"
    config.write_text(CONFIG)
    service = Served(config, tmp_path / "log")
    try:
        service.wait("Press Ctrl-C", 120)
        short, long = Stream(service, 12), Stream(service, 400)
        while not (short.events and long.events):
            time.sleep(0.1)
        began = time.monotonic()
        service.process.send_signal(stop)
        assert service.process.wait(90) == 130
        took = time.monotonic() - began
    finally:
        service.process.kill()
    short.thread.join(5)
    long.thread.join(5)
    assert short.events[-1] == "[DONE]" and not short.fault
    # Serve would cut it; an event says why it ends.
    told, end = long.events[-2:]
    assert end == "[DONE]"
    assert json.loads(told)["error"]["code"] == "service_stopping" and not long.fault
    assert took < 30, took
    assert "raylet" not in service.output and "Traceback" not in service.output
