"""A thousand streams at once, wave after wave: none lost, none mixed up, no memory kept."""

import asyncio
import json
import re
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest
from tests.conftest import wait_for

STREAMS = 1000
WAVES = 4
CONFIG = """
version: 1
experts: [{{id: echo, engine: fake, delay_s: 3, token_delay_s: 0.05}}]
routers: {{only: {{kind: constant, expert: echo}}}}
compositions: {{auto: {{router: only}}}}
service: {{host: 127.0.0.1, port: {port}}}
"""


@contextmanager
def served(folder):
    """Serve `CONFIG` from a process of its own; yield its URL and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "experts.yaml"
    config.write_text(CONFIG.format(port=port))
    command = [sys.executable, "-m", "motet.cli.main", "serve", config, "--local"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: answers(url), 30)
            yield url, process.pid
        finally:
            process.terminate()


def answers(url):
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def open_files():
    """Allow a socket for every stream, here and in the service, which inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = STREAMS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} open files, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def ask(session, url, words):
    """Return the words of one streamed answer and whether it came to its proper end."""
    messages = [{"role": "user", "content": words}]
    body = {"model": "auto", "messages": messages, "stream": True}
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        content = await answer.text()
    *events, done = [line[6:] for line in content.split("\n") if line.startswith("data: ")]
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas), done


async def in_progress(session, url):
    async with session.get(f"{url}/metrics") as answer:
        return float(re.search(r"^motet_requests_in_progress (.+)$", await answer.text(), re.M)[1])


async def wave(url, number):
    """Ask a thousand questions at once, check every answer; return the most answered at once."""
    questions = [f"wave {number} stream {stream} says hello" for stream in range(STREAMS)]
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        asking = asyncio.gather(*(ask(session, url, words) for words in questions))
        most = 0
        while not asking.done():
            await asyncio.wait([asking], timeout=0.25)
            most = max(most, await in_progress(session, url))
        async with asyncio.timeout(10):  # the service has yet to put away what it has answered
            while await in_progress(session, url):
                await asyncio.sleep(0.1)
    assert asking.result() == [(words, "[DONE]") for words in questions]
    return most


def resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
async def test_a_thousand_streams_at_once(tmp_path, open_files):
    with served(tmp_path) as (url, pid):
        most = await wave(url, 0)  # fills caches, and grows the heap to what a wave needs
        assert most > 0.9 * STREAMS
        after_first = resident_kib(pid)
        for number in range(1, WAVES):
            await wave(url, number)
        assert resident_kib(pid) < 1.1 * after_first
