"""A new tuning table from times, and every entry of the present one compiled for Hopper."""

import json
import os
import subprocess
import sys

import pytest

from motet.kernels.triton.tuning import TABLE

SMALL, SECOND, THIRD, *_ = TABLE["prefill"]


def timed(entry, ms, requests=32, kernel="prefill", dtype="bfloat16"):
    return {
        "kernel": kernel,
        "dtype": dtype,
        "requests": requests,
        "head_width": 64,
        "entry": entry,
        "ms": ms,
    }


def table_of(rows):
    from benchmarks.gpu.tuning import table

    return json.loads(table(rows, "a card"))


def test_what_wins_stays_behind_the_small_entry():
    rows = [timed(SMALL, 3), timed(SECOND, 2), timed(THIRD, 1)]
    rows += [timed(SECOND, 1, requests=8), timed(THIRD, 5, requests=8)]
    rows += [timed(THIRD, 1, requests=1), timed(SECOND, 2, requests=1)]
    made = table_of(rows)
    assert made["prefill"] == [SMALL, THIRD, SECOND]
    assert made["measured"].startswith("on a card")


def test_what_was_not_timed_stays_as_it_is():
    made = table_of([timed(SECOND, 1)])
    assert made["decode"] == TABLE["decode"]
    assert made["prefill_fp32"] == TABLE["prefill_fp32"]
    assert made.keys() == TABLE.keys()


def test_fp32_has_entries_of_its_own_where_products_are_made():
    exact = TABLE["prefill_fp32"]
    made = table_of([timed(exact[1], 1, dtype="float32"), timed(exact[0], 2, dtype="float32")])
    assert made["prefill_fp32"] == [exact[1]]
    assert made["prefill"] == TABLE["prefill"]
    fastest = TABLE["decode"][2]
    made = table_of([timed(fastest, 1, kernel="decode", dtype="float32")])
    assert made["decode"] == [TABLE["decode"][0], fastest]


COMPILE = """
from benchmarks.gpu.compiled import MOST_SHARED, compiled
from benchmarks.gpu.entries import KERNELS, entries_of
for name in KERNELS:
    for dtype in ("bfloat16", "float32"):
        for entry in entries_of(name, dtype):
            use = compiled(name, entry, dtype)
            assert use.shared <= MOST_SHARED and use.stack <= 64, (name, dtype, entry, use)
            stages = entry["num_stages"]
            if "BLOCK_F" in entry and dtype == "bfloat16" and stages > 2:
                n, x, f = (entry[b] for b in ("BLOCK_N", "BLOCK_X", "BLOCK_F"))
                assert use.shared == 2 * stages * f * (n + x), ("is not fetched ahead", entry, use)
"""


@pytest.mark.timeout(110)
def test_every_entry_compiles_for_hopper_fits_it_and_fetches_ahead():
    env = {**os.environ, "PYTHONPATH": "src:."}
    env.pop("TRITON_INTERPRET", None)  # in a process of its own: it is read at Triton's import
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
