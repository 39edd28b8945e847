"""A new tuning table from times, and every entry of the present one compiled for Hopper."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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


def test_kernels_choose_among_the_entries_of_their_dtype(tmp_path):
    from benchmarks.gpu import tuning

    from motet.kernels.triton.tuning import TUNED, configs

    kernel = TUNED["prefill"]
    half, exact = TABLE["prefill"], TABLE["prefill_fp32"]

    def choice(dtype):
        return kernel.early_config_prune(kernel.configs, {"q": torch.zeros(1, dtype=dtype)})

    before = kernel.configs
    assert choice(torch.bfloat16) == configs(half)
    assert choice(torch.float32) == configs(exact)
    won = [timed(SECOND, 1), timed(SMALL, 2), timed(exact[1], 1, dtype="float32")]
    (tmp_path / tuning.FILE).write_text(tuning.table(won, "a card"))
    try:
        tuning.use(tmp_path)
        assert choice(torch.bfloat16) == configs([SMALL, SECOND])
        assert choice(torch.float32) == configs(exact[1:])
    finally:
        kernel.configs = before


def test_no_entry_is_in_both_lists_of_a_kernel():
    for name, entries in TABLE.items():
        if name.endswith("_fp32"):
            assert not [entry for entry in entries if entry in TABLE[name.removesuffix("_fp32")]]


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
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    env.pop("TRITON_INTERPRET", None)  # in a process of its own: it is read at Triton's import
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
