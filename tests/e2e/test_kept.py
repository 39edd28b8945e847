"""What a killed service has kept: all but the last second, in either database."""

import subprocess
import sys
import threading
import time

import httpx
from sqlalchemy import func, select
from tests.conftest import free_port, wait_for

from motet.store.database import Database
from motet.store.decisions import DECISIONS
from motet.store.usage import USAGE

FLEET = """
version: 1
experts: [{id: a, engine: fake, tokens: [fine]}]
store: {%s}
"""


def test_kill_dash_nine_under_load_loses_a_second_at_most(tmp_path, place):
    where = f"path: {place.path}" if place.path else f"url: '{place.url}', files: files"
    (tmp_path / "experts.yaml").write_text(FLEET % where)
    port = free_port()
    command = [sys.executable, "-m", "motet.cli.main", "serve", "experts.yaml", "--local"]
    answered, killed = [], threading.Event()

    def load():
        body = {"model": "a", "messages": [{"role": "user", "content": "hello"}]}
        with httpx.Client() as client:
            while not killed.is_set():
                try:
                    client.post(f"{url}/v1/chat/completions", json=body).raise_for_status()
                except httpx.TransportError:  # it was killed
                    return
                answered.append(time.monotonic())

    with subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _is_ready(url), 30)
        clients = [threading.Thread(target=load) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(2.5)
        process.kill()
        at = time.monotonic()
        killed.set()
    for client in clients:
        client.join()
    database = Database(place)
    kept = database.transact(lambda c: c.scalar(select(func.count()).select_from(DECISIONS)))
    counted = database.transact(lambda c: c.scalar(select(func.sum(USAGE.c.requests))))
    database.close()
    due = [when for when in answered if when < at - 1.0]
    assert len(due) > 50
    assert len(due) <= kept <= len(answered) + len(clients)
    assert counted == kept  # the ledger and the log agree


def _is_ready(url):
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False
