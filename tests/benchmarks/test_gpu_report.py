"""Figures, their aims, and the page, from results."""

import json

import pytest
from benchmarks.gpu.recorder import ROWS
from benchmarks.gpu.report import figures, summary, write

ROWS_OF_A_RUN = [
    {"part": "facts", "case": "machine", "device": "NVIDIA H100 80GB HBM3"},
    {"part": "correctness", "case": "prefill odd", "ok": True},
    {"part": "correctness", "case": "decode odd", "ok": False, "error": 0.5},
    {"part": "tokens", "case": "fused", "failed": "RuntimeError: no"},
    {"part": "correctness", "case": "graphs", "skipped": "none"},
    {"part": "speed", "case": "prefill b32 e4 vs padded", "ratio": 4.25},
    {"part": "speed", "case": "prefill b256 e4 padded", "failed": "OutOfMemoryError: large"},
    {"part": "speed", "case": "decode b128 e4", "of_floor": 1.75},
    {"part": "engine", "case": "rows 8", "decode_time_vs_primary": 1.1},
]


def test_figures_are_those_that_were_measured():
    assert figures(ROWS_OF_A_RUN) == {
        "gpu_checks": 3,
        "gpu_failed_checks": 2,  # what raised is no pass; a contender that does not fit is no check
        "gpu_speedup_vs_padded_b32": 4.25,
        "gpu_decode_of_floor_b128": 1.75,
        "gpu_decode_time_vs_primary_b8": 1.1,
    }


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("gpu_speedup_vs_padded_b32", 3.0, "yes"),
        ("gpu_speedup_vs_padded_b32", 2.9, "NO"),
        ("gpu_decode_of_floor_b128", 1.5, "yes"),
        ("gpu_decode_of_floor_b128", 1.6, "NO"),
    ],
)
def test_an_aim_is_met_or_not(name, value, verdict):
    (line,) = summary({name: value})
    assert line.endswith(verdict)


def test_a_page_says_what_failed_and_what_was_left_out(tmp_path):
    (tmp_path / ROWS).write_text("".join(json.dumps(row) + "\n" for row in ROWS_OF_A_RUN))
    parts = {"correctness": {"ended": "out of time", "seconds": 90.2, "allowed": 90}}
    write(tmp_path, parts, {"minutes": 6.0, "seed": 0})
    (page,) = tmp_path.glob("gpu_nvidia-h100-80gb-hbm3_*.md")
    text = page.read_text()
    assert "| correctness | out of time | 90 | 90 |" in text
    assert "| tokens | fused | RuntimeError: no |" in text
    assert "| correctness | graphs | none |" in text
    assert "benchmarks/gpu/run --minutes 6.0 --seed 0" in text
