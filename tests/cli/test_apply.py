"""`motet apply`, `rollback`, `experts ...` and `serve --watch` against a service of this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest
from tests.conftest import free_port, wait_for

CONFIG = """\
version: 1
experts:
  - id: one   # the first
    engine: fake
    tokens: [one]
routers:
  only: {{kind: constant, expert: {expert}}}
compositions:
  auto: {{router: only}}
service: {{port: {port}, api_keys: [some-key]}}
"""


class Served:
    """A service in a process of its own, and commands beside it."""

    def __init__(self, folder, *options):
        self.port, self.folder = free_port(), folder
        self.file = folder / "experts.yaml"
        self.write()
        self.env = {**os.environ, "MOTET_STATE": str(folder / "state"), "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motet.cli.main", "serve", self.file, "--local", *options],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_for(self.is_up, 60)

    def write(self, expert="one", more=""):
        text = CONFIG.format(port=self.port, expert=expert)
        self.file.write_text(text.replace("routers:", f"{more}routers:"))

    def is_up(self):
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/ready").status_code == 200
        except httpx.TransportError:
            return False

    def motet(self, *arguments):
        command = [sys.executable, "-m", "motet.cli.main", *map(str, arguments)]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=60
        )

    def said(self):
        body = {"model": "auto", "messages": [{"role": "user", "content": "x"}]}
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/v1/chat/completions", json=body,
            headers={"authorization": "Bearer some-key"}, timeout=30,
        )  # fmt: skip
        return answer.json()["choices"][0]["message"]["content"]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=60)[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    service = Served(tmp_path_factory.mktemp("served"))
    yield service
    service.stop()
    assert not list((service.folder / "state" / "services").iterdir())


TWO = "  - {id: two, engine: fake, tokens: [two]}\n"


def test_a_line_in_the_file_and_one_command(served):
    served.write("two", TWO)
    dry = served.motet("apply", "--dry-run")
    assert dry.returncode == 0 and "Nothing was changed" in dry.stdout and served.said() == "one"
    done = served.motet("apply")
    assert done.returncode == 0, done.stderr
    assert "two" in done.stdout and "added" in done.stdout and "snapshot 2" in done.stdout
    assert served.said() == "two"
    listing = json.loads(served.motet("rollback", "--list", "--json").stdout)
    assert [each["number"] for each in listing] == [2, 1]
    assert served.motet("rollback").returncode == 0 and served.said() == "one"
    again = json.loads(served.motet("apply", "--json").stdout)
    assert again["snapshot"] == 4 and served.said() == "two"


def test_what_is_wrong_in_the_file_is_told_with_its_line_and_nobody_is_asked(served):
    before = served.said()
    served.write("three")
    failed = served.motet("apply")
    assert (
        failed.returncode == 1 and "experts.yaml:" in failed.stderr and "'three'" in failed.stderr
    )
    served.write("one", TWO.replace("tokens: [two]", "fail_after: 0"))
    failed = served.motet("apply")
    assert failed.returncode == 1 and "did not answer its first prompt" in failed.stderr
    assert served.said() == before


def test_experts_are_edited_in_the_file_too(served):
    served.write()
    assert served.motet("apply").returncode == 0
    done = served.motet("experts", "add", "{id: two, engine: fake, tokens: [two]}")
    assert done.returncode == 0, done.stderr
    assert "id: two" in served.file.read_text() and "# the first" in served.file.read_text()
    for action in ("disable", "enable", "drain", "remove"):
        done = served.motet("experts", action, "two")
        assert done.returncode == 0, done.stderr
    assert "two" not in served.file.read_text()
    wrong = served.motet("experts", "remove", "tow")
    assert wrong.returncode == 1 and "no expert 'tow'" in wrong.stderr


def test_whose_service_it_is_must_be_clear(served, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nexperts: [{id: a, engine: fake}]\n")
    away = served.motet("apply", served.file, "--url", "http://127.0.0.1:9")
    assert away.returncode == 1 and "Cannot reach" in away.stderr
    refused = served.motet("apply", served.file, "--url", f"http://127.0.0.1:{served.port}")
    assert refused.returncode == 1 and "key" in refused.stderr
    short = served.motet(
        "apply", served.file, "--url", f"http://127.0.0.1:{served.port}", "--key", "some-key"
    )
    assert short.returncode == 1 and "'admin'" in short.stderr


def test_without_a_service_there_is_nothing_to_apply_to(tmp_path):
    (tmp_path / "experts.yaml").write_text("version: 1\nexperts: [{id: a, engine: fake}]\n")
    env = {**os.environ, "MOTET_STATE": str(tmp_path / "state")}
    command = [sys.executable, "-m", "motet.cli.main", "apply"]
    done = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "No service of yours" in done.stderr


def test_a_watched_file_is_applied_when_it_changes(tmp_path):
    service = Served(tmp_path, "--watch")
    service.write("two", TWO)
    wait_for(lambda: service.said() == "two", 20)
    service.write("nobody", TWO)
    time.sleep(1.5)
    assert service.said() == "two"
    service.write("one")
    wait_for(lambda: service.said() == "one", 20)
    told = service.stop()
    assert "two added" in told and "is not in place" in told and "'nobody'" in told
