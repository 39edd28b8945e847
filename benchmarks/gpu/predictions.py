"""What each kernel must move and compute, and how fast an H100 could: the table of docs/kernels.md.

    python -m benchmarks.gpu.predictions [DIR]

With the folder of a run, what was measured stands beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.batches import costs, planned
from benchmarks.gpu.facts import ASSUMED
from benchmarks.gpu.recorder import read_rows
from benchmarks.gpu.scale import GPU

from motet.kernels import Cost

SEED = 0


def rows(folder: Path | None = None) -> Iterator[list[str]]:
    """Yield a row for each kernel and batch of the benchmark."""
    measured = {row["case"]: row for row in read_rows(folder)} if folder else {}
    experts = GPU.experts[0]
    for requests in sorted(GPU.requests):
        _, plan = planned(GPU, requests, experts, SEED)
        prefill, decode = (costs(GPU, p, experts, 2) for p in (plan, plan.decode()))
        for kernel, cost in (
            ("prefill", prefill.attention),
            ("decode", decode.attention),
            ("projection", prefill.projection),
            ("back-projection", prefill.back_projection),
        ):
            took = measured.get(f"{kernel} b{requests} e{experts}", {}).get("ours_ms")
            yield [
                str(requests),
                kernel,
                *_floor(cost),
                "" if took is None else f"{1e3 * took:.0f}",
            ]


def _floor(cost: Cost) -> list[str]:
    arithmetic = 1e6 * cost.flops / ASSUMED["matrix_flops_per_s"]
    memory = 1e6 * cost.bytes / ASSUMED["copy_bytes_per_s"]
    bound = "arithmetic" if arithmetic > memory else "memory"
    values = cost.bytes / 1e6, cost.flops / 1e9, max(arithmetic, memory)
    return [*(f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in values), bound]


def main() -> None:
    """Print the table in Markdown."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("| requests | kernel | MB | GFLOP | floor, µs | bound by | measured, µs |")
    print("|---|---|---|---|---|---|---|")
    for row in rows(folder):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
