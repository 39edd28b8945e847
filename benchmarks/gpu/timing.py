"""Medians of device time, and calls as one captured CUDA graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

WARM_MS, TIMED_MS = 10, 60
"""How long a call is repeated before and while it is timed."""


def median_ms(run: Callable[[], Any]) -> float:
    """Return milliseconds of a call on the device, its cache emptied in between.

    On a CPU, of one call: a dry run proves that it runs.
    """
    if not torch.cuda.is_available():
        began = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - began)
    from triton.testing import do_bench

    return float(do_bench(run, warmup=WARM_MS, rep=TIMED_MS, return_mode="median"))


def captured(run: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """Return what replays a call as a CUDA graph, and what the call returned while captured."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # tuning measures, and libraries set themselves up: not captured
        run()
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()

    def replay(_kept: object = (run, out)) -> None:
        graph.replay()  # which reads and writes where these have their tensors

    return replay, out
