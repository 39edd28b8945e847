"""New configs on a real Ray: three ingress replicas, pools that stay, nobody failed."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import pytest
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import served

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

CONFIG = """\
version: 1
experts:
  - {{id: main, engine: fake, tokens: [v{v}]}}
  - {{id: pooled, engine: fake-pool, sign: true, tokens: [x]}}
{more}routers:
  front: {{kind: symbolic, rules: [{{name: v{v}, use: [main]}}]}}
compositions:
  auto: {{router: front}}
service: {{replicas: 3, port: {port}, health_interval_s: 0.2}}
"""


class Fleet:
    """A service on Ray and commands beside it."""

    def __init__(self, folder):
        self.file, self.folder, self.port = folder / "experts.yaml", folder, free_port()
        self.env = {**os.environ, "MOTET_STATE": str(folder / "state"), "NO_COLOR": "1"}

    def write(self, v, more=""):
        self.file.write_text(CONFIG.format(v=v, more=more, port=self.port))

    def motet(self, *arguments):
        command = [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=200
        )

    def ask(self, model="auto"):
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        body["motet"] = {"explain": True}
        # A connection of its own: HAProxy sends each to the next replica.
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30)

    def version(self):
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        body = answer.json()
        said = body["choices"][0]["message"]["content"]
        assert f"rule '{said}'" in body["motet"]["decision"]["reason"]  # of one config, whole
        return said

    def process(self):
        """Return the process that answers for the pool."""
        return self.ask("pooled").json()["choices"][0]["message"]["content"].split()[0]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    found = Fleet(tmp_path_factory.mktemp("apply"))
    found.write(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTET_STATE", found.env["MOTET_STATE"])
        with served(found.file, found.folder / "log", "Press Ctrl-C", 180) as service:
            found.url = service.url
            wait_for(lambda: found.ask("pooled").status_code == 200, 60)
            yield found


def test_all_replicas_take_a_config_soon_and_fail_nobody(fleet):
    pool, ended, statuses = fleet.process(), threading.Event(), Counter()
    failed = []

    def load():
        while not ended.is_set():
            try:
                statuses[fleet.version()] += 1
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for v in (1, 2, 3):
            fleet.write(v)
            done = fleet.motet("apply", "--json")
            assert done.returncode == 0, done.stderr
            assert {"main", "front"} <= {
                each["name"] for each in json.loads(done.stdout)["changes"]
            }
            time.sleep(2.0)
            assert {fleet.version() for _ in range(12)} == {f"v{v}"}
        fleet.write(4, "  - {id: bad, engine: fake, fail_after: 0}\n")
        done = fleet.motet("apply")
        assert done.returncode == 1 and "did not answer its first prompt" in done.stderr
        assert {fleet.version() for _ in range(6)} == {"v3"}
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert not failed and sum(statuses.values()) > 50
    assert fleet.process() == pool, "an untouched pool goes on"


def test_a_new_pool_comes_and_goes_and_the_other_stays(fleet):
    pool = fleet.process()
    fleet.write(5)
    assert fleet.motet("apply").returncode == 0
    done = fleet.motet("experts", "add", "{id: more, engine: fake-pool, tokens: [more]}")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: all(fleet.ask("more").status_code == 200 for _ in range(6)), 20)
    assert fleet.process() == pool
    assert fleet.motet("rollback").returncode == 0
    wait_for(lambda: all(fleet.ask("more").status_code == 404 for _ in range(6)), 20)
    assert fleet.process() == pool


KEYS = """\
keys:
  - {name: few, key: few-key, limits: {requests_per_minute: 300}}
  - {name: gone, key: gone-key}
"""


def test_limits_hold_over_all_replicas_and_a_key_that_is_taken_out_is_refused_by_all(fleet):
    text = CONFIG.format(v=6, more="", port=fleet.port) + KEYS
    fleet.file.write_text(text)
    assert fleet.motet("apply").returncode == 0
    time.sleep(2.0)
    body = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}

    def status(key, client=httpx):
        headers = {"authorization": f"Bearer {key}", "connection": "close"}
        url = f"{fleet.url}/v1/chat/completions"
        return client.post(url, json=body, headers=headers, timeout=30).status_code

    statuses, ended = Counter(), time.monotonic() + 25

    def load():
        while time.monotonic() < ended and sum(statuses.values()) < 1500:
            statuses[status("few-key")] += 1
            time.sleep(0.1)

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(statuses.values()) > 600 and set(statuses) == {200, 429}, statuses
    assert 294 <= statuses[200] <= 306, statuses
    assert {status("gone-key") for _ in range(6)} == {200}
    fleet.file.write_text(text.replace("  - {name: gone, key: gone-key}\n", ""))
    assert fleet.motet("apply").returncode == 0
    time.sleep(2.0)
    assert {status("gone-key") for _ in range(12)} == {401}
