"""How long each part shall take on an H100, counted from its operations and bytes beforehand.

What a case takes is its operations and bytes at a third of what an H100 has been seen to reach,
times the calls that timing makes; the rest are starts of processes and compilations.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from benchmarks._latent_contenders import SHARED
from benchmarks.gpu.batches import costs, planned
from benchmarks.gpu.entries import KERNELS, entries_of
from benchmarks.gpu.facts import ASSUMED
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.timing import TIMED_MS, WARM_MS

REACHED = 1 / 3
"""Share of the roofline that a kernel reaches, where the estimate must not be short."""

START = 8.0
"""Seconds until a process has its libraries and the device."""

COMPILED = 0.8
"""Seconds to compile a kernel for Hopper; 0.2 to 0.8 of them on one core of an AMD EPYC."""

FLEX_COMPILED = 8.0
"""Seconds to compile FlexAttention for one batch."""

CALLS = 8
"""Of a call that takes longer than timing wants to: it is still repeated."""

CHECKS, CHECKED = 190, 0.1
"""Cases of correctness, and seconds each: milliseconds on the device, the oracle on the host."""

OTHER_KERNELS = 34
"""Compiled for correctness besides: fp16, other head widths, odd strides, no weights."""

SANITIZED = 30.0
"""Seconds of compute-sanitizer, which starts a process of its own and slows it."""


def seconds(scale: Scale, seed: int) -> dict[str, float]:
    """Return what each part is expected to take."""
    kernels = sum(
        len(entries_of(name, dtype)) for name in KERNELS for dtype in ("bfloat16", "float32")
    )
    return {
        "facts": START + 4 * _timed(2 * scale.multiplied**3, 2 * scale.copied),
        "correctness": START + (kernels + OTHER_KERNELS) * COMPILED + CHECKS * CHECKED + SANITIZED,
        "tuning": START + kernels * COMPILED + sum(_tuning(scale, seed)),
        "speed": START + sum(_speed(scale, seed)),
        "engine": START + 12 * COMPILED + sum(_engine(scale)),
        "tokens": START + 6 * COMPILED + 15,
    }


def _timed(flops: float, moved: float, repeats: float = CALLS) -> float:
    """Return the seconds that timing a call of these costs takes."""
    once = max(flops / ASSUMED["matrix_flops_per_s"], moved / ASSUMED["copy_bytes_per_s"])
    return max((WARM_MS + TIMED_MS) / 1e3, repeats * once / REACHED)


def _tuning(scale: Scale, seed: int) -> Iterator[float]:
    for dtype, slower in (("bfloat16", 1), ("float32", 12)):  # fp32 has no tensor cores
        for requests in (32, 8):
            _, plan = planned(scale, requests, scale.experts[0], seed)
            for name in KERNELS:
                step = plan.decode() if name == "decode" else plan
                cost = costs(scale, step, scale.experts[0], getattr(torch, dtype).itemsize)
                of = {"projection": cost.projection, "back_projection": cost.back_projection}
                part = of.get(name, cost.attention)
                entries = len(entries_of(name, dtype))
                yield entries * _timed(slower * part.flops, part.bytes)


def _speed(scale: Scale, seed: int) -> Iterator[float]:
    cases = [(requests, scale.experts[0]) for requests in scale.requests]
    cases += [(scale.requests[0], experts) for experts in scale.experts[1:]]
    for requests, experts in cases:
        _, plan = planned(scale, requests, experts, seed)
        prefill, decode = costs(scale, plan, experts, 2), costs(scale, plan.decode(), experts, 2)
        padded = requests * plan.longest_query * plan.longest_memory
        yield 2 * _timed(prefill.attention.flops, prefill.attention.bytes)
        yield 3 * _timed(decode.attention.flops, decode.attention.bytes)
        yield 2 * _timed(prefill.projection.flops, prefill.projection.bytes)
        yield 2 * _timed(prefill.back_projection.flops, prefill.back_projection.bytes)
        if padded * 2 < 60 * 2**30:  # else its mask does not fit
            yield _timed(4 * SHARED * padded, 2 * padded)
        yield requests * 20e-3  # masks, plans and inputs
    yield 2 * len(scale.requests) * FLEX_COMPILED


def _engine(scale: Scale) -> Iterator[float]:
    moved = sum(12 * layers * width**2 * 2 for width, layers in scale.members)
    for rows in scale.rows:
        # A step of a small model is bound by its launches, a token a row by the host.
        step = moved / ASSUMED["copy_bytes_per_s"] + 20e-3 + rows * 0.3e-3
        yield scale.steps * 2 * step + (rows + 1) * 0.15
