"""Part d: attention and the grouped products against what a library offers, and their floors.

Each contender of a case is timed alone, on the same inputs, its masks and padding made beforehand:

- ours: `motet.kernels` on the packed rows of a plan;
- padded: one `scaled_dot_product_attention` over the batch, with an additive mask;
- loop: the requests one by one;
- flex: compiled FlexAttention over the packed rows, with a block mask.

The decode is a captured graph for each. The floor is the larger of the plan's bytes over measured
copy bandwidth and its operations over the measured matrix rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from benchmarks.gpu import tuning
from benchmarks.gpu.batches import LatentBatch, Level, costs
from benchmarks.gpu.facts import rates
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.timing import captured, median_ms

ROOM = 0.85
"""Share of free memory that a contender's inputs may take."""


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Time every case, what the aims name first and what must be compiled last."""
    tuning.use(recorder.folder)
    usual, *others = scale.experts
    cases = [(requests, usual) for requests in scale.requests]
    cases[2:2] = [(scale.requests[0], experts) for experts in others]
    for requests, experts in cases:
        for decode in (False, True):
            _attention(recorder, scale, requests, experts, decode, seed)
        _products(recorder, scale, requests, experts, seed)
    for requests in scale.requests:
        for decode in (False, True):
            case = _case("decode" if decode else "prefill", requests, usual)
            ours = _ms_of(recorder, case)
            recorder.attempt(
                f"{case} flex",
                partial(_flex, scale, requests, usual, decode, seed, ours),
                needs=0 if scale.dry else 15,
            )


def _case(name: str, requests: int, experts: int) -> str:
    return f"{name} b{requests} e{experts}"


def _ms_of(recorder: Recorder, case: str) -> float | None:
    """Return what ours took in a case, if it was measured."""
    wanted = (row for row in recorder.rows() if row["part"] == "speed" and row["case"] == case)
    return next((row.get("ours_ms") for row in wanted), None)


def _attention(
    recorder: Recorder, scale: Scale, requests: int, experts: int, decode: bool, seed: int
) -> None:
    case = _case("decode" if decode else "prefill", requests, experts)
    dtype = getattr(torch, scale.dtype)

    def ours() -> dict[str, Any]:
        cost = costs(scale, batch.plan, experts, dtype.itemsize).attention
        call = batch.ours()
        result = _with_floor(recorder, cost, _ms(scale, call, decode))
        return {**result, "eager_ms": median_ms(call)} if decode else result

    def other(make: Callable[[], Callable[[], Any]]) -> dict[str, Any]:
        return {"ms": _ms(scale, make(), decode)}

    def padded() -> dict[str, Any]:
        needed = batch.padded_bytes()
        torch.cuda.empty_cache()  # what earlier cases have left is free
        if not scale.dry and needed > ROOM * torch.cuda.mem_get_info()[0]:
            return {"skipped": f"it needs {needed / 2**30:.0f} GiB"}
        return other(batch.padded)

    try:
        batch = LatentBatch(scale, requests, experts, dtype, decode, seed)
    except torch.OutOfMemoryError as error:
        recorder.add(case, failed=str(error)[:200])
        return
    measured = recorder.attempt(case, ours, needs=1)
    _versus(measured, recorder.attempt(f"{case} padded", padded, needs=2), "padded", recorder, case)
    looped = recorder.attempt(f"{case} loop", lambda: other(batch.loop), needs=2)
    _versus(measured, looped, "loop", recorder, case)


def _versus(
    ours: Mapping[str, Any],
    other: Mapping[str, Any],
    name: str,
    recorder: Recorder,
    case: str,
) -> None:
    """Write how many times as long the other took."""
    if "ours_ms" in ours and "ms" in other:
        recorder.add(f"{case} vs {name}", ratio=other["ms"] / ours["ours_ms"])


def _ms(scale: Scale, call: Callable[[], Any], as_graph: bool) -> float:
    if as_graph and not scale.dry:
        call, _ = captured(call)
    return median_ms(call)


def _with_floor(recorder: Recorder, cost: Any, ms: float) -> dict[str, Any]:
    measured = rates(recorder.rows())
    floor = 1e3 * cost.seconds(
        flops_per_second=measured["matrix_flops_per_s"],
        bytes_per_second=measured["copy_bytes_per_s"],
    )
    return {
        "ours_ms": ms,
        "floor_ms": floor,
        "of_floor": ms / floor,
        "flops": cost.flops,
        "bytes": cost.bytes,
    }


def _products(recorder: Recorder, scale: Scale, requests: int, experts: int, seed: int) -> None:
    dtype = getattr(torch, scale.dtype)
    try:
        level = Level(scale, requests, experts, dtype, seed)
    except torch.OutOfMemoryError as error:
        recorder.add(_case("products", requests, experts), failed=str(error)[:200])
        return
    counted = costs(scale, level.plan, experts, dtype.itemsize)
    for name, cost, ours, loop in (
        ("projection", counted.projection, level.project, level.project_loop),
        ("back-projection", counted.back_projection, level.project_back, level.project_back_loop),
    ):
        case = _case(name, requests, experts)
        measured = recorder.attempt(
            case, lambda c=cost, f=ours: _with_floor(recorder, c, median_ms(f)), needs=1
        )
        looped = recorder.attempt(f"{case} loop", lambda f=loop: {"ms": median_ms(f)}, needs=1)
        _versus(measured, looped, "loop", recorder, case)


def _flex(
    scale: Scale, requests: int, experts: int, decode: bool, seed: int, ours: float | None
) -> dict[str, Any]:
    dtype = getattr(torch, scale.dtype)
    batch = LatentBatch(scale, requests, experts, dtype, decode, seed)
    flex = batch.flex(compiled=not scale.dry)
    seeing = batch.plan.visible_Q > 0
    off = flex()[0].transpose(0, 1)[seeing].float() - batch.ours()()[seeing].float()
    ms = _ms(scale, flex, decode)
    return {
        "ms": ms,
        "ratio": ms / ours if ours else None,
        "differs": float(off.abs().max()),  # or it was not the same question
    }
