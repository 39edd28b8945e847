"""`motet batch` as a person runs it, and a batch that is killed again and again."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial

import pytest
from tests.batch.helpers import FLEET, line, read, write

LINES = [line(f"q{n}", ["hello", "a bee", "so dead"][n % 3] + f" {n}") for n in range(12)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "experts.yaml").write_text(FLEET)
    write(tmp_path / "in.jsonl", LINES)
    return tmp_path


def command(*more):
    return [sys.executable, "-m", "motet.cli.main", "batch", "in.jsonl", "out.jsonl", *more]


def batch(folder, *more):
    return subprocess.run(command(*more), cwd=folder, capture_output=True, text=True, timeout=100)


def test_a_batch_and_its_report(folder):
    done = batch(folder, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["lines"], report["completed"], report["failed"]) == (12, 12, 0)
    assert report["calls"] == 16 and report["loads"] == 0 and report["completion_tokens"] > 0
    assert [each["custom_id"] for each in read(folder / "out.jsonl")] == [
        f"q{n}" for n in range(12)
    ]
    assert not (folder / "out.errors.jsonl").exists()
    again = batch(folder)
    assert again.returncode == 0 and "12 of 12 lines answered" in again.stdout


def test_the_plan_is_shown_and_nothing_is_asked(folder):
    done = batch(folder, "--plan", "--json")
    assert done.returncode == 0, done.stderr
    calls = {each["expert"]: each["calls"] for each in json.loads(done.stdout)["plan"]}
    assert calls == {"a": 4, "b": 4, "dead": 4}
    assert not (folder / "out.jsonl").exists()
    asked = sqlite3.connect(folder / "out.jsonl.state").execute("SELECT COUNT(*) FROM calls")
    assert asked.fetchone() == (0,)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--memory", "much"], "--memory 'much' is no size such as 2GiB"),
        (["--local", "--address", "x"], "exclude each other"),
        (["--config", "expert.yaml"], "cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_runs(folder, more, said):
    done = batch(folder, *more)
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert not (folder / "out.jsonl.state").exists()


def test_a_file_of_somebody_else_is_not_replaced(folder):
    (folder / "out.jsonl").write_text("mine")
    done = batch(folder)
    assert done.returncode == 1 and "--fresh" in done.stderr
    assert (folder / "out.jsonl").read_text() == "mine"


def test_ctrl_c_says_how_to_go_on(folder):
    fleet = FLEET.replace("{id: a, engine: fake,", "{id: a, engine: fake, delay_s: 600,")
    (folder / "experts.yaml").write_text(fleet)
    # A shell starts what it puts in the background deaf to Ctrl-C, and tests may run there.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command(), cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=hears
    )
    _wait_for_calls(folder, 8)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130 and "goes on from here" in said


def test_killed_at_any_point_it_ends_as_if_it_had_not_been(tmp_path):
    """Twenty kills: the result is equal byte for byte, and no answer is asked for twice."""
    random_ = random.Random(7)
    slow = FLEET.replace("engine: fake,", "engine: fake, delay_s: 0.01,")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "experts.yaml").write_text(slow)
    lines = [line(f"q{n}", ["hello", "a bee", "so dead"][n % 3] + f" {n}") for n in range(120)]
    source = write(tmp_path / "whole" / "in.jsonl", [*lines[:60], "{oops", *lines[60:]])
    shutil.copy2(source, tmp_path / "killed" / "in.jsonl")
    assert batch(tmp_path / "whole").returncode == 0
    killed = tmp_path / "killed"
    log = killed / "asked.log"
    for _ in range(20):
        _run_here(killed, log, random_.uniform(0.0, 0.12))
    assert _run_here(killed, log, None) == 0
    for name in ("out.jsonl", "out.errors.jsonl"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    kept = sqlite3.connect(killed / "out.jsonl.state").execute("SELECT COUNT(*) FROM calls")
    asked = len(log.read_text().splitlines())
    (calls,) = kept.fetchone()
    assert calls <= asked <= calls + 20 * 2 * 3  # what was in flight: two on each of three experts


def _run_here(folder, log, seconds):
    """Run the command in a forked child, which has everything imported; kill it after a while."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _child(folder, log)
            status = 0
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child(folder, log):
    from motet.cli.batch import batch as run
    from motet.experts.fake import FakeExpert

    os.chdir(folder)
    file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    play = FakeExpert.stream

    def noted(self, request):
        os.write(file, f"{self.card.id} {request.id}\n".encode())
        return play(self, request)

    FakeExpert.stream = noted
    from pathlib import Path

    run(Path("in.jsonl"), Path("out.jsonl"), concurrency=2, json=False)


def _wait_for_calls(folder, count):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (folder / "out.jsonl.state").exists():
            try:
                found = sqlite3.connect(folder / "out.jsonl.state").execute(
                    "SELECT COUNT(*) FROM calls"
                )
                if found.fetchone()[0] >= count:
                    return
            except sqlite3.OperationalError:
                pass
        time.sleep(0.05)
    raise AssertionError(f"not {count} calls within 60 s")
    raise AssertionError(f"not {count} calls within a minute")
