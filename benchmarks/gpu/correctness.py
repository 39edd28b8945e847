"""Part b: every kernel against the reference in fp64, on every class of shapes.

Inputs are drawn afresh for every case, and what is allocated without contents is filled with nan,
outputs and scratch alike, so that an element that no program wrote shows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import torch
from benchmarks.gpu.entries import entries_of, pinned
from benchmarks.gpu.products import Products
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from tests.kernels.latent_oracle import SHAPES, TOLERANCE, Batch, make_fusions
from torch import Tensor

from motet.kernels import GroupingPlan, attend

EXPERTS, HEADS = 4, 3

LONG = {
    "served": [(700, [1303, 411]), (129, [64, 1000]), (1, [8191])],
    "many splits": [(1, [9001, 7002]), (3, [1]), (2, [])],
}
"""Shapes that an interpreter is too slow for."""

FEW = ("odd", "no peers")
"""Of the shapes, those of a dry run."""

DTYPES = ("bfloat16", "float16", "float32")

SANITIZER_SECONDS = 60


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Check everything, what serving uses first."""
    seeds = count(seed)
    for dtype in ("float32",) if scale.dry else DTYPES:
        _check_attention(recorder, scale, dtype, seeds)
        _check_products(recorder, scale, dtype, seeds)
    for case, gradients in (("attention", _gradients), ("products", _product_gradients)):
        recorder.attempt(f"gradients {case}", partial(gradients, next(seeds), scale.device))
    if scale.dry:
        recorder.add("graphs", skipped="a CPU captures none")
    else:
        for mode in ("prefill", "decode"):
            recorder.attempt(f"graph {mode}", partial(_attention_graph, mode, next(seeds)))
        recorder.attempt("graph products", partial(_product_graph, next(seeds)))
    recorder.attempt("compute-sanitizer", lambda: _sanitized(recorder.left), needs=15)


def _check_attention(recorder: Recorder, scale: Scale, dtype: str, seeds: Iterator[int]) -> None:
    shapes = {name: SHAPES[name] for name in FEW} if scale.dry else {**SHAPES, **LONG}
    for mode in ("prefill", "decode"):
        for entry in _tried(mode, dtype, scale):
            for name, shape in shapes.items():
                check = partial(
                    _attention, shape, mode, dtype, entry, 64, next(seeds), scale.device
                )
                recorder.attempt(f"{mode} {name} {dtype} {_short(entry)}", check, needs=2)
        for width in (20,) if scale.dry else (128, 20):
            entry = entries_of(mode, dtype)[0]
            check = partial(
                _attention, SHAPES["odd"], mode, dtype, entry, width, next(seeds), scale.device
            )
            recorder.attempt(f"{mode} head width {width} {dtype}", check)


def _check_products(recorder: Recorder, scale: Scale, dtype: str, seeds: Iterator[int]) -> None:
    for name in ("projection", "back_projection"):
        for entry in _tried(name, dtype, scale):
            for aligned in (True, False):
                kind = "aligned" if aligned else "odd"
                check = partial(_product, name, dtype, entry, aligned, next(seeds), scale.device)
                recorder.attempt(f"{name} {kind} {dtype} {_short(entry)}", check, needs=2)


def _tried(name: str, dtype: str, scale: Scale) -> list[Mapping[str, int]]:
    """Return the entries to check: all for what serving uses, else the first."""
    entries = list(entries_of(name, dtype))
    return entries[:1] if scale.dry or dtype == "float16" else entries


def _short(entry: Mapping[str, int]) -> str:
    return "/".join(str(value) for value in entry.values())


@contextmanager
def poisoned() -> Iterator[None]:
    """Fill with nan what is allocated without contents."""
    torch.use_deterministic_algorithms(True, warn_only=True)  # which does that too
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def judged(got: Tensor, wanted: Tensor, dtype: str, slack: float = 1) -> dict[str, Any]:
    """Return how far `got` is off: relative to all of it, and at most in terms of the tolerance."""
    relative, absolute = TOLERANCE[getattr(torch, dtype)]
    got, wanted = got.detach().double().cpu(), wanted.detach().double().cpu()
    off = (got - wanted).abs() / (slack * absolute + relative * wanted.abs())
    worst = float(off.max()) if off.numel() else 0.0
    size = float(wanted.norm())
    error = float((got - wanted).norm()) / size if size else worst
    return {"ok": worst <= 1, "error": error, "of_tolerance": worst}  # nan is no more than anything


def twice(run: Callable[[], Tensor]) -> tuple[Tensor, bool]:
    """Return what a call gives on poisoned memory, and whether it gives the same again."""
    with poisoned():
        first = run()
        second = run()
    return first, bool(torch.equal(first, second))


class Attention:
    """A random batch on the device."""

    def __init__(
        self, shape: Any, mode: str, dtype: str, width: int, seed: int, device: str
    ) -> None:
        numbers = getattr(torch, dtype)
        self.batch = Batch.random(
            make_fusions(shape, EXPERTS, seed), EXPERTS, numbers, HEADS, width, seed
        )
        plan = self.batch.plan()
        q, k, v = self.batch.packed(plan)
        if mode == "decode":
            generator = torch.Generator().manual_seed(seed)
            plan = plan.decode()
            q = torch.randn(plan.queries.n_rows, HEADS, width, generator=generator).to(numbers)
        self.q, self.k, self.v = (x.to(device) for x in (q, k, v))
        self.plan: GroupingPlan = plan.to(device)
        self.weight = self.plan.per_key(self.batch.log_weight.float().to(device))

    def ours(self) -> Tensor:
        """Return the kernels' output."""
        return attend(
            self.q, self.k, self.v, self.plan, log_weight_M=self.weight, implementation="triton"
        )

    def exact(self) -> Tensor:
        """Return the reference's, in fp64."""
        q, k, v, weight = (x.double() for x in (self.q, self.k, self.v, self.weight))
        return attend(q, k, v, self.plan, log_weight_M=weight, implementation="reference")


def _attention(
    shape: Any,
    mode: str,
    dtype: str,
    entry: Mapping[str, int],
    width: int,
    seed: int,
    device: str,
) -> dict[str, Any]:
    made = Attention(shape, mode, dtype, width, seed, device)
    with pinned(mode, [entry]):
        got, same = twice(made.ours)
    result = judged(got, made.exact(), dtype)
    if mode == "prefill":  # and against dense attention from byte ends, which knows no plan
        plain = made.batch.oracle()
        for b, part in enumerate(made.batch.per_request(got, made.plan)):
            result["ok"] &= judged(part, plain[b], dtype)["ok"]
    return {**result, "ok": result["ok"] and same, "repeats": same}


def _product(
    name: str, dtype: str, entry: Mapping[str, int], aligned: bool, seed: int, device: str
) -> dict[str, Any]:
    made = Products(getattr(torch, dtype), aligned, seed, device)
    with pinned(name, [entry]):
        got, same = twice(lambda: made.run(name, "triton"))
    result = judged(got, made.exactly(name), dtype, slack=8)
    closed = name == "projection" or made.closed_gate_is_identity(got)
    return {**result, "ok": result["ok"] and same and closed, "repeats": same}


def _gradients(seed: int, device: str) -> dict[str, Any]:
    made = Attention([(40, [33, 19]), (7, [11])], "prefill", "float32", 64, seed, device)
    log_weight = made.batch.log_weight.to(device)
    gradients = []
    for implementation, numbers in (("triton", torch.float32), ("reference", torch.float64)):
        leaves = [
            x.detach().to(numbers).requires_grad_() for x in (made.q, made.k, made.v, log_weight)
        ]
        weight = made.plan.per_key(leaves[3])
        out = attend(*leaves[:3], made.plan, log_weight_M=weight, implementation=implementation)
        out.sin().sum().backward()
        gradients.append(torch.cat([x.grad.flatten().double() for x in leaves]))
    return judged(*gradients, "float32", slack=8)


def _product_gradients(seed: int, device: str) -> dict[str, Any]:
    made = Products(torch.float32, True, seed, device)
    return judged(made.gradients("triton"), made.gradients("reference"), "float32", slack=8)


def _attention_graph(mode: str, seed: int) -> dict[str, Any]:
    """Capture one batch, then replay with another of the same shapes copied over it."""
    from benchmarks.gpu.timing import captured

    shape = [(300, [170, 90]), (40, [200])]
    made, other = (Attention(shape, mode, "bfloat16", 64, seed + i, "cuda") for i in range(2))
    replay, out = captured(made.ours)
    replay()
    same = bool(torch.equal(out, made.ours()))
    for mine, its in zip(
        (made.q, made.k, made.v, made.weight, *_tensors(made.plan)),
        (other.q, other.k, other.v, other.weight, *_tensors(other.plan)),
        strict=True,
    ):
        mine.copy_(its)
    replay()
    another = bool(torch.equal(out, other.ours()))
    return {"ok": same and another, "replay_equals_eager": same, "another_batch_too": another}


def _tensors(plan: GroupingPlan) -> tuple[Tensor, ...]:
    """Return what the kernels read of a plan on the device."""
    return plan.visible_Q, plan.key_start_Q, plan.work_W4


def _product_graph(seed: int) -> dict[str, Any]:
    from benchmarks.gpu.timing import captured

    made = Products(torch.bfloat16, True, seed, "cuda")
    results = {}
    for name in ("projection", "back_projection"):
        replay, out = captured(lambda n=name: made.run(n, "triton"))
        replay()
        results[name] = bool(torch.equal(out, made.run(name, "triton")))
    return {"ok": all(results.values()), **results}


def _sanitized(left: float) -> dict[str, Any]:
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        return {"skipped": "compute-sanitizer is not there"}
    try:
        done = subprocess.run(
            [tool, "--error-exitcode", "9", sys.executable, "-m", "benchmarks.gpu.sanitized"],
            # Each tensor an allocation of its own: within a pool no access is out of bounds.
            env={**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
            capture_output=True,
            text=True,
            timeout=min(SANITIZER_SECONDS, left),
            check=False,
        )
    except subprocess.TimeoutExpired as late:  # slow, which is no fault of the kernels
        return {"skipped": f"compute-sanitizer was not done in {late.timeout:.0f} s"}
    last = (done.stdout + done.stderr).strip().splitlines()[-1:]
    return {"ok": done.returncode == 0, "says": "".join(last)[-200:]}
