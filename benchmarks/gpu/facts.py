"""Part a: which machine this is, how fast it copies, and how fast it multiplies."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

import torch
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.timing import median_ms

ASSUMED = {"copy_bytes_per_s": 3.0e12, "matrix_flops_per_s": 790e12}
"""Of an H100, where they were not measured."""


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Describe the machine and measure its two rates."""
    torch.manual_seed(seed)
    recorder.attempt("machine", lambda: _machine(scale))
    recorder.attempt("copy", lambda: _copy(scale))
    for dtype in ("bfloat16", "float32"):
        recorder.attempt(f"matrix {dtype}", lambda d=dtype: _matrix(scale, getattr(torch, d)))


def rates(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the measured rates among results, and assumed ones for those that lack."""
    measured = dict(ASSUMED)
    for row in rows:
        if row["part"] == "facts" and row["case"] in ("copy", "matrix bfloat16"):
            measured.update({name: row[name] for name in ASSUMED if name in row})
    return measured


def _machine(scale: Scale) -> dict[str, Any]:
    about: dict[str, Any] = {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "triton", "transformers")},
        "cuda": torch.version.cuda,
    }
    if scale.dry:
        return {"device": "CPU, Triton's interpreter", **about}
    card = torch.cuda.get_device_properties(0)
    return {
        "device": card.name,
        "memory_gib": round(card.total_memory / 2**30, 1),
        "multiprocessors": card.multi_processor_count,
        "l2_mib": round(getattr(card, "L2_cache_size", 0) / 2**20),
        **about,
    }


def _copy(scale: Scale) -> dict[str, float]:
    source = torch.randn(scale.copied // 4, device=scale.device)
    target = torch.empty_like(source)
    ms = median_ms(lambda: target.copy_(source))
    return {"ms": ms, "copy_bytes_per_s": 2 * source.nbytes / ms * 1e3}


def _matrix(scale: Scale, dtype: torch.dtype) -> dict[str, float]:
    side = scale.multiplied
    a, b = (torch.randn(side, side, device=scale.device).to(dtype) for _ in range(2))
    ms = median_ms(lambda: a @ b)
    return {"ms": ms, "matrix_flops_per_s": 2 * side**3 / ms * 1e3}
