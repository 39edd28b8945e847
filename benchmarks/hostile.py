"""How long others wait, and how much memory goes, while one client or host does its worst.

One `motet serve --local` of its own for each case, so that memory of one is not another's. While
the case runs, `/health` is asked every 5 ms on a connection of its own, which answers as soon as
the event loop turns: its longest wait is the lag. Memory is the highest resident size above that at
rest. Two controls stand beside the cases: nothing at all, and ordinary requests at once, 32 bodies
of 100 kB.

Run as `python benchmarks/hostile.py [--quick] [--json FILE] [--out] [--only NAME]`.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions

MIB = 2**20
CONTROLS = ("nothing", "ordinary bodies")
CONFIG = """
version: 1
experts:
  - {{id: a, engine: fake, tokens: [fine]}}
  - {{id: long, engine: fake, tokens: [{tokens}]}}
  - {{id: far, engine: openai, url: 'http://127.0.0.1:{host}/v1', model: m, retries: 0}}
routers:
  rules:
    kind: symbolic
    rules:
      - {{name: code, when: "has_code || mentions(['sql']) || language == 'de'", use: [a]}}
      - {{name: nested, when: "tools.exists(t, tools.exists(u, t == u + 'x'))", use: [a]}}
  front: {{kind: chain, of: [rules], fallback: a}}
compositions: {{auto: {{router: front}}}}
service: {{body_timeout_s: 5, limits: {{deadline_s: 5}}, batches: {{store: batches.db}}}}
"""


@dataclass(frozen=True)
class Place:
    """A running service, and the host behind its expert `far`."""

    port: int
    host: Host

    def post(self, path: str, body: Any, **headers: str) -> int:
        """Return the status of an answer, 0 where there is none."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                "POST", path, content, {"content-type": "application/json"} | headers
            )
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def chat(self, content: Any, model: str = "auto", **more: Any) -> int:
        """Return the status of a chat."""
        messages = [{"role": "user", "content": content}]
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **more})

    def raw(self, head: bytes) -> socket.socket:
        """Return a connection on which so much of a request was sent."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(head)
        return client


class Host:
    """What answers the expert `far`: whatever `play` sends on a connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.play: Callable[[socket.socket], None] = lambda client: None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = client.recv(65536)
            if head.startswith(b"GET"):
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            else:
                self.play(client)


def _together(work: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wrong_parts(place: Place, scale: float) -> None:
    """Send a list of parts that are none."""
    place.chat([1] * int(1_000_000 * scale))


def deep_json(place: Place, scale: float) -> None:
    """Send brackets that open and never close."""
    deep = b"[" * int(500_000 * scale)
    place.post("/v1/chat/completions", b'{"model":"a","messages":' + deep)


def header_flood(place: Place, scale: float) -> None:
    """Send a header without end."""
    with suppress(OSError), place.raw(b"GET /health HTTP/1.1\r\nx: ") as client:
        for _ in range(int(200 * scale)):
            client.sendall(b"a" * 1_000_000)


def half_headers(place: Place, scale: float) -> None:
    """Open connections that never say what they want."""
    held = []
    with suppress(OSError):
        for _ in range(int(800 * scale)):
            held.append(place.raw(b"GET /health HTTP/1.1\r\nx: "))
    time.sleep(6)
    for client in held:
        client.close()


def slow_readers(place: Place, scale: float) -> None:
    """Ask for streams and read nothing of them."""
    body = json.dumps(
        {"model": "long", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    )
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    asked = f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()
    held = [place.raw(asked) for _ in range(int(100 * scale))]
    time.sleep(7)
    for client in held:
        client.close()


def endless_answer(place: Place, scale: float) -> None:
    """Have the host answer without end."""

    def flood(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[")
        for _ in range(int(500 * scale)):
            client.sendall(b"1," * 500_000)

    place.host.play = flood
    place.chat("x", "far")


def packed_answer(place: Place, scale: float) -> None:
    """Have the host answer with much in little."""
    packed = gzip.compress(b" " * MIB) * int(500 * scale)  # members of one file

    def bomb(client: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
        client.sendall(head.encode() + packed)

    place.host.play = bomb
    place.chat("x", "far")


def endless_line(place: Place, scale: float) -> None:
    """Have the host send one event without end."""

    def line(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
        for _ in range(int(300 * scale)):
            client.sendall(b"x" * 1_000_000)

    place.host.play = line
    place.chat("x", "far", stream=True)


def text_for_rules(place: Place, scale: float) -> None:
    """Ask with texts that are hard for patterns and for language detection."""
    for text in ("\n" * 3_000_000, "<tool_result " * 300_000, "`" * 3_000_000, "ab " * 1_000_000):
        place.chat(text[: int(len(text) * scale)])


def tools_for_rules(place: Place, scale: float) -> None:
    """Ask with tools that a rule compares each with each."""
    tools = [{"type": "function", "function": {"name": f"f{n}" * 20}} for n in range(128)]
    place.chat("x", tools=tools)


def junk_batch(place: Place, scale: float) -> None:
    """Upload a line whose URL is millions of letters."""
    line = {"custom_id": "a", "method": "POST", "url": "ab" * int(6_000_000 * scale), "body": {}}
    edge = b"--B\r\ncontent-disposition: form-data; name="
    form = edge + b'"purpose"\r\n\r\nbatch\r\n' + edge + b'"file"; filename="x"\r\n\r\n'
    form += json.dumps(line).encode() + b"\n\r\n--B--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=B"}
    place.post("/v1/files", form, **kind)
    time.sleep(2)


def ordinary(place: Place, scale: float) -> None:
    """Ask as anybody would, many at once."""
    _together(lambda: place.chat("word " * 20_000), 32)


CASES: dict[str, Callable[[Place, float], None]] = {
    "nothing": lambda place, scale: time.sleep(3),
    "ordinary bodies": ordinary,
    "a million wrong parts": wrong_parts,
    "half a million brackets": deep_json,
    "a header of 200 MB": header_flood,
    "800 half headers": half_headers,
    "100 who do not read": slow_readers,
    "an answer of 500 MB": endless_answer,
    "an answer packed 1000 to 1": packed_answer,
    "a line of 300 MB": endless_line,
    "texts against patterns": text_for_rules,
    "tools against rules": tools_for_rules,
    "a junk line in a batch": junk_batch,
}


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Place, psutil.Process]]:
    """Serve the config, and yield where, and the process."""
    host, port = Host(), free_port()
    tokens = ",".join(['"' + "x" * 1000 + '"'] * 3000)
    path = folder / "experts.yaml"
    path.write_text(CONFIG.format(host=host.port, tokens=tokens))
    command = [
        sys.executable,
        "-m",
        "motet.cli.main",
        "serve",
        path,
        "--local",
        "--port",
        str(port),
    ]
    with Processes(folder) as processes:
        processes.start("motet", command, MOTET_CACHE=str(folder))
        processes.wait_for("motet", f"http://127.0.0.1:{port}/ready")
        time.sleep(1)
        (process,) = (
            each
            for each in psutil.Process().children(recursive=True)
            if str(path) in each.cmdline() and "serve" in each.cmdline()
        )
        yield Place(port, host), process


def lag_and_memory(
    place: Place, process: psutil.Process, work: Callable[[], object]
) -> tuple[float, float]:
    """Return the longest wait of another client, in seconds, and memory above rest, in MB."""
    waits, over, peak = [0.0], threading.Event(), [0]
    rest = process.memory_info().rss

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
        while not over.is_set():
            began = time.perf_counter()
            try:
                connection.request("GET", "/health")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
            waits.append(time.perf_counter() - began)
            peak[0] = max(peak[0], process.memory_info().rss)
            time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        work()
    finally:
        over.set()
        asking.join()
    return max(waits), (peak[0] - rest) / 1e6


def main() -> None:
    """Measure each case, and print and write the figures."""
    made = parser(__doc__)
    made.add_argument("--only", metavar="NAME", choices=CASES, help="this case alone")
    arguments = made.parse_args()
    scale = 0.1 if arguments.quick else 1.0
    rows = []
    for name, case in CASES.items():
        if arguments.only not in (None, name):
            continue
        with console.status(name), tempfile.TemporaryDirectory() as folder:
            with serving(Path(folder)) as (place, process):
                lag_s, memory_mb = lag_and_memory(place, process, lambda: case(place, scale))  # noqa: B023
                alive = place.chat("still there?", "a") == 200
        rows.append((name, round(lag_s, 3), round(memory_mb, 1), "yes" if alive else "NO"))
        console.print(f"{name:28} {lag_s:7.3f} s {memory_mb:8.1f} MB  {'' if alive else 'DEAD'}")
    worst = [row for row in rows if row[0] not in CONTROLS] or rows
    figures = {
        "worst_loop_lag_s": max(row[1] for row in worst),
        "worst_memory_mb": max(row[2] for row in worst),
        "alive_after_all": all(row[3] == "yes" for row in rows),
    }
    console.print(figures)
    report = {
        "figures": figures,
        "settings": {"scale": scale, "cases": {row[0]: row[1:] for row in rows}},
        "machine": machine(),
        "versions": versions("motet", "uvicorn", "aiohttp", "orjson"),
    }
    table = markdown(["case", "lag, s", "memory above rest, MB", "answers after it"], rows)
    finish(arguments, "hostile", report, [table])


if __name__ == "__main__":
    main()
