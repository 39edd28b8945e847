"""The prepared command for a GPU, dry: on a CPU, under Triton's interpreter, on tiny shapes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "benchmarks" / "gpu" / "run"


def run(out, *options):
    # Threads of several processes on few cores would wait for each other.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(RUN), "--dry", "--out", str(out), *options],
        capture_output=True,
        text=True,
        env=env,
    )


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    out = tmp_path_factory.mktemp("gpu")
    return out, run(out)


@pytest.mark.timeout(170)
def test_every_part_runs_whole_and_every_check_passes(dry):
    out, done = dry
    assert done.returncode == 0, done.stdout + done.stderr + (out / "log.txt").read_text()
    report = json.loads((out / "report.json").read_text())
    assert list(report["parts"]) == [
        "facts",
        "correctness",
        "tuning",
        "speed",
        "engine",
        "tokens",
    ]
    assert {about["ended"] for about in report["parts"].values()} == {"whole"}
    assert {row["part"] for row in report["rows"]} == set(report["parts"])
    assert not [row for row in report["rows"] if "failed" in row]
    assert report["figures"]["gpu_checks"] >= 15
    assert report["figures"]["gpu_failed_checks"] == 0


def test_every_contender_answers_every_case(dry):
    out, _ = dry
    rows = json.loads((out / "report.json").read_text())["rows"]
    cases = {row["case"]: row for row in rows if row["part"] == "speed"}
    for mode in ("prefill", "decode"):
        assert {"ours_ms", "floor_ms", "of_floor"} <= cases[f"{mode} b2 e3"].keys()
        for other in ("padded", "loop"):
            assert cases[f"{mode} b2 e3 {other}"]["ms"] > 0
            assert cases[f"{mode} b2 e3 vs {other}"]["ratio"] > 0
        assert cases[f"{mode} b2 e3 flex"]["differs"] < 1e-5
    for product in ("projection", "back-projection"):
        assert cases[f"{product} b2 e2 loop"]["ms"] > 0


def test_the_files_to_keep_are_there(dry):
    out, _ = dry
    assert len(list(out.iterdir())) <= 8
    (page,) = out.glob("gpu_*.md")
    assert "gpu_failed_checks" in page.read_text()
    assert str(out) not in page.read_text()
    assert "part,case" in (out / "rows.csv").read_text().splitlines()[0]
    table = json.loads((out / "hopper.json").read_text())
    assert table["prefill_fp32"] and table["decode"]


def test_the_whole_is_expected_within_its_minutes(dry):
    _, done = dry
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Expected")]
    seconds, allowed = (int(word) for word in line.split() if word.isdecimal())
    assert seconds < allowed == 360


@pytest.mark.timeout(60)
def test_a_part_out_of_time_is_ended_and_the_next_one_begins(tmp_path):
    done = run(tmp_path, "--minutes", "0.01", "--only", "facts", "--only", "tokens")
    report = json.loads((tmp_path / "report.json").read_text())
    assert {about["ended"] for about in report["parts"].values()} == {"out of time"}
    assert list(report["parts"]) == ["facts", "tokens"]
    assert done.returncode == 1
