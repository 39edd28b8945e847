"""`motet table build` as a person runs it: on a service of its own, and on one that runs."""

import json
import subprocess
import sys

import pytest
from tests.conftest import running

from motet import tables

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: seven, engine: fake, tokens: ["7"]}
"""
PROMPTS = [
    {"query": "say 7", "task": "sum", "grader": "numeric", "reference": 7},
    {"query": "hello", "task": "chat", "grader": "judge", "reference": "hello"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "experts.yaml").write_text(FLEET)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROMPTS))
    return tmp_path


def build(folder, *more):
    command = [sys.executable, "-m", "motet.cli.main", "table", "build", "experts.yaml"]
    command += ["prompts.jsonl", "--out", "table.parquet", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)


def test_without_a_service_one_is_started_and_stopped(folder):
    done = build(folder, "--judge", "echo", "--json")
    assert done.returncode == 0, done.stderr
    totals = json.loads(done.stdout)["totals"]
    assert {(t["expert"], t["task"], t["score"]) for t in totals if t["task"] == "sum"} == {
        ("echo", "sum", 1.0),
        ("seven", "sum", 1.0),
    }
    assert tables.read(folder / "table.parquet").experts == ("echo", "seven")


def test_a_running_service_is_asked(folder):
    with running(FLEET) as service:
        done = build(folder, "--judge", "echo", "--url", service.url, "--experts", "seven")
    assert done.returncode == 0, done.stderr
    assert "Wrote table.parquet" in done.stdout
    assert tables.read(folder / "table.parquet").experts == ("seven",)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--experts", "sevn"], "Did you mean 'seven'"),
        (["--judge", "ecoh"], "Did you mean 'echo'"),
        ([], "grader 'judge' needs an expert that judges. Give --judge."),
        (["--judge", "echo", "--out", "table.csv"], "in a .parquet file"),
        (["--judge", "echo", "--url", "http://127.0.0.1:9"], "Is it running?"),
    ],
)
def test_mistakes_are_told_before_anything_runs(folder, more, said):
    done = build(folder, *more)
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert not (folder / "table.parquet").exists()
