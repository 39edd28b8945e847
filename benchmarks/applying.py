"""What requests notice of a config that changes: 32 streams at once, quiet and under applies.

A service of scripted experts (`motet serve --local`) is asked without a pause, first as it is, then
while a new config is put in place again and again: experts come and go, a router changes, and every
fifth config is broken on purpose and must leave the old one serving. Every answer's words are
checked against the config that decided; one that failed, or mixed two configs, fails the run.

Run as `python benchmarks/applying.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import orjson
from rich.progress import track

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions

_STREAMS = 32
_CONFIG = """
version: 1
experts:
  - {{id: main, engine: fake, tokens: ["v{v} ", "v{v} ", "v{v}"], token_delay_s: 0.005}}
  - {{id: same, engine: fake}}
{more}routers:
  front: {{kind: symbolic, rules: [{{name: v{v}, use: [main]}}]}}
compositions: {{auto: {{router: front}}}}
service: {{port: {port}, health_interval_s: 0.1}}
"""
_MORE = "  - {{id: more{v}, engine: fake}}\n"
_BROKEN = "  - {{id: broken, engine: fake, fail_after: 0}}\n"
_BODY = {
    "model": "auto",
    "stream": True,
    "messages": [{"role": "user", "content": "x"}],
    "motet": {"explain": True},
}


class Load:
    """Streams without a pause, and how long each took, in milliseconds."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self.took: list[float] = []
        self.failed: list[str] = []

    async def run(self, session: aiohttp.ClientSession, ended: asyncio.Event) -> None:
        """Ask until the end."""
        while not ended.is_set():
            began = time.perf_counter()
            try:
                async with session.post(self._url, json=_BODY) as answer:
                    self._check(answer.status, await answer.read())
            except aiohttp.ClientError as error:
                self.failed.append(repr(error))
            self.took.append(1000 * (time.perf_counter() - began))

    def _check(self, status: int, content: bytes) -> None:
        lines = [line[6:] for line in content.split(b"\n") if line.startswith(b"data: ")]
        if status != 200 or lines[-1] != b"[DONE]":
            self.failed.append(f"{status} {content[:200]!r}")
            return
        events = [orjson.loads(line) for line in lines[:-1]]
        words = {
            word
            for event in events
            for choice in event["choices"]
            for word in (choice["delta"].get("content") or "").split()
        }
        reason = events[-1]["motet"]["decision"]["reason"]
        if len(words) != 1 or f"rule {words.pop()!r}" not in reason:
            self.failed.append(f"of two configs: {reason}")


async def loaded(url: str, session: aiohttp.ClientSession, work: asyncio.Future[None]) -> Load:
    """Return what streams saw while `work` went on."""
    load, ended = Load(url), asyncio.Event()
    streams = [asyncio.create_task(load.run(session, ended)) for _ in range(_STREAMS)]
    await work
    ended.set()
    await asyncio.gather(*streams)
    return load


async def apply_all(url: str, session: aiohttp.ClientSession, port: int, count: int) -> list[float]:
    """Put config after config in place; return the seconds of those that came up."""
    seconds = []
    for v in track(range(1, count + 1), "Applies", console=console):
        broken = not v % 5
        more = _BROKEN if broken else _MORE if v % 2 else ""
        text = _CONFIG.format(v=v, port=port, more=more.format(v=v))
        began = time.perf_counter()
        async with session.post(f"{url}/admin/config", json={"config": text}) as answer:
            said = await answer.json()
        if answer.status != (409 if broken else 200):
            raise SystemExit(f"apply {v}: {answer.status} {said}")
        if not broken:
            seconds.append(time.perf_counter() - began)
    return seconds


async def measure(url: str, port: int, applies: int, quiet_s: float) -> dict[str, float]:
    """Return the figures."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        await loaded(url, session, asyncio.ensure_future(asyncio.sleep(2.0)))
        quiet = await loaded(url, session, asyncio.ensure_future(asyncio.sleep(quiet_s)))
        work = asyncio.ensure_future(apply_all(url, session, port, applies))
        busy = await loaded(url, session, work)
    if failed := [*quiet.failed, *busy.failed]:
        raise SystemExit(f"{len(failed)} requests failed: {failed[:3]}")
    p99 = {name: quantiles(load.took, n=100)[98] for name, load in (("q", quiet), ("b", busy))}
    return {
        "failed": 0,
        "answers_during_applies": len(busy.took),
        "p99_vs_quiet": round(p99["b"] / p99["q"], 2),
        "p50_vs_quiet": round(median(busy.took) / median(quiet.took), 2),
        "apply_s_p50": round(median(work.result()), 3),
    }


def main() -> None:
    """Start the service, load it, and print the figures."""
    args = parser(__doc__).parse_args()
    applies, quiet_s = (15, 4.0) if args.quick else (50, 15.0)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as name, Processes(Path(name)) as processes:
        config = Path(name) / "experts.yaml"
        config.write_text(_CONFIG.format(v=0, port=port, more=""))
        command = [sys.executable, "-m", "motet.cli.main", "serve", config, "--local"]
        processes.start("motet", command, MOTET_STATE=f"{name}/state")
        processes.wait_for("motet", f"{url}/ready")
        figures = asyncio.run(measure(url, port, applies, quiet_s))
    for figure, value in figures.items():
        console.print(f"{figure:28} {value}")
    report = {
        "figures": figures,
        "settings": {"streams": _STREAMS, "applies": applies, "quiet_s": quiet_s},
        "machine": machine(),
        "versions": versions("motet", "uvicorn", "aiohttp"),
    }
    finish(args, "applying", report, [markdown(["figure", "value"], figures.items())])


if __name__ == "__main__":
    main()
