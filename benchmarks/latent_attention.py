"""Claim: attention over ragged latents need cost neither a loop over requests nor padding.

Contenders, alternating in random order inside one run, masks and plans made beforehand:

- ours: `motet.kernels.attend` on the packed rows of a plan.
- loop: the requests one by one, each with its additive mask: `scaled_dot_product_attention`, or
  two plain products around a softmax, whichever is faster in that cell.
- padded: one `scaled_dot_product_attention` over the batch, inputs already padded (for free), with
  an additive mask.
- flex (`--flex`): compiled FlexAttention over the packed rows with a block mask, where it runs.

Ratios are of medians; above 1 means that ours is faster. With `--threads 1` the clock counts
processor time, so that other work on the machine disturbs little; otherwise it is the wall's,
and the machine must be quiet. Run from the repository:

    python benchmarks/latent_attention.py --quick --json figures.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from _latent_contenders import (
    EXPERT_WIDTHS,
    HEADS,
    LONGEST,
    SHORTEST,
    WIDTH,
    Attention,
    Projection,
    make_batch,
)
from _latent_report import write_results
from motet.kernels import GroupingPlan, attend

RESULTS = Path(__file__).parent / "results"


def clock() -> float:
    """Return seconds: of the processor with one thread, which neighbours do not disturb."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    start = clock()
    run()
    return clock() - start


def medians(
    contenders: dict[str, Callable[[], Any]], seconds: float, rng: random.Random
) -> dict[str, float]:
    """Time contenders in turn, in random order, and return each one's median in milliseconds.

    After a warm-up, three rounds at least; a contender that has used three times `seconds` sits out
    the rest, and one that slow from the start is judged by its warm-up.
    """
    first = {name: timed(run) for name, run in contenders.items()}
    times = {name: [t] if t > 3 * seconds else [] for name, t in first.items()}
    began = time.perf_counter()
    rounds = 0
    while rounds < 3 or (rounds < 500 and time.perf_counter() - began < seconds):
        for name in rng.sample(list(contenders), len(contenders)):
            if sum(times[name]) <= 3 * seconds:
                times[name].append(timed(contenders[name]))
        rounds += 1
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def measure_attention(
    case: tuple[int, int, str, str, bool], seconds: float, seed: int
) -> dict[str, Any]:
    """Time one cell of the grid."""
    requests, experts, mix, dtype, decode = case
    generator = torch.Generator().manual_seed(seed)
    fusions = make_batch(requests, experts, mix, generator)
    start = time.perf_counter()
    GroupingPlan.build(fusions, experts=experts)
    plan_ms = 1e3 * (time.perf_counter() - start)
    batch = Attention(fusions, experts, getattr(torch, dtype), decode, seed)
    contenders = {
        "ours": batch.ours(),
        "fused": batch.fused_loop(),
        "plain": batch.plain_loop(),
        "padded": batch.padded(),
    }
    ms = medians(contenders, seconds, random.Random(seed))
    kind = min("fused", "plain", key=ms.__getitem__)
    contenders["loop"], ms["loop"] = contenders[kind], ms[kind]
    row = {
        "requests": requests,
        "experts": experts,
        "mix": mix,
        "dtype": dtype,
        "mode": "decode" if decode else "prefill",
        **{f"{name}_ms": round(ms[name], 4) for name in ("ours", "loop", "padded")},
        "loop_of": kind,
        "vs_loop": round(ms["loop"] / ms["ours"], 3),
        "vs_padded": round(ms["padded"] / ms["ours"], 3),
        "plan_ms": round(plan_ms, 2),
        "error_ours": "",
        "error_loop": "",
    }
    if requests <= 4:
        k, v = batch.kv.double().unbind(1)
        exact = attend(
            batch.q.double(),
            k,
            v,
            batch.plan,
            log_weight_M=batch.plan.per_key(batch.log_weight.double()),
            implementation="reference",
        )
        seeing = batch.plan.visible_Q > 0
        for name in ("ours", "loop"):
            error = (contenders[name]()[seeing].double() - exact[seeing]).norm()
            row[f"error_{name}"] = f"{float(error / exact.norm()):.1e}"
    return row


def measure_flex(seconds: float, seed: int, dtype: str) -> dict[str, Any]:
    """Time FlexAttention on a batch it compiles in reasonable time, or say why it does not run."""
    fusions = make_batch(8, 4, "ragged", torch.Generator().manual_seed(seed))
    batch = Attention(fusions, 4, getattr(torch, dtype), False, seed)
    try:
        flex = batch.flex()
        flex()  # compiles, which may take longer than all that is timed
        ms = medians({"ours": batch.ours(), "flex": flex}, seconds, random.Random(seed))
    except Exception as error:  # whatever the compiler raises, the reason belongs in the result
        return {"ran": False, "why": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
    return {
        "ran": True,
        "requests": 8,
        "dtype": dtype,
        "vs_flex": round(ms["flex"] / ms["ours"], 3),
    }


def peak_memory(contender: str, requests: int, dtype: str, seed: int) -> float:
    """Return the megabytes one contender holds at most, inputs included, in a fresh process."""
    command = [sys.executable, __file__, "--peak", contender, "--seed", str(seed)]
    command += ["--peak-requests", str(requests), "--peak-dtype", dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def print_peak(contender: str, requests: int, dtype: str, seed: int) -> None:
    """Be the fresh process: the rise of the resident peak, less inputs that are not its own."""
    fusions = make_batch(requests, 4, "ragged", torch.Generator().manual_seed(seed))
    F.scaled_dot_product_attention(*torch.zeros(3, 1, 1, 16, 16, dtype=getattr(torch, dtype)))
    before = _status("VmRSS")
    batch = Attention(fusions, 4, getattr(torch, dtype), False, seed)
    run = batch.fused_loop() if contender == "loop" else getattr(batch, contender)()
    not_its_own = 0.0
    if contender == "padded":  # it holds padded inputs, not packed ones
        not_its_own = (batch.q.nbytes + batch.kv.nbytes) / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    run()
    print(_status("VmHWM") - before - not_its_own)


def _status(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"this system does not report {field}")


def grid(quick: bool, dtype: str) -> list[tuple[int, int, str, str, bool]]:
    """Return the cells: requests, experts, mix, dtype, decode."""
    sizes = (1, 4, 32) if quick else (1, 4, 16, 32, 64)
    dtypes = (dtype,) if quick else tuple(dict.fromkeys((dtype, "float32")))
    cells = [(b, 4, "ragged", t, d) for t in dtypes for d in (False, True) for b in sizes]
    cells = [c for c in cells if c[0] < 64 or c[3] == dtype]  # padded fp32 needs ten gigabytes
    if not quick:
        cells += [(32, e, "ragged", dtype, False) for e in (2, 8)]
        cells += [(16, 4, "equal:256", t, d) for t in dtypes for d in (False, True)]
    return cells


def run(quick: bool, seed: int, flex: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measure everything and return the report and the grid's rows."""
    dtype = "bfloat16" if _bf16_in_hardware() else "float32"
    seconds = 1.0 if quick else 1.5
    rows = []
    for case in grid(quick, dtype):
        rows.append(measure_attention(case, seconds, seed))
        print(rows[-1], flush=True)
    head = {t: _find(rows, 32, t) for t in (dtype, "float32")}
    figures = {
        "speedup_vs_padded_b32": head[dtype]["vs_padded"],
        "speedup_vs_loop_b32": head[dtype]["vs_loop"],
        "worst_ratio": min(min(row["vs_loop"], row["vs_padded"]) for row in rows),
    }
    if head["float32"] and dtype != "float32":
        figures["speedup_vs_padded_b32_float32"] = head["float32"]["vs_padded"]
        figures["speedup_vs_loop_b32_float32"] = head["float32"]["vs_loop"]
    fusions = make_batch(32, 4, "ragged", torch.Generator().manual_seed(seed))
    for t in (dtype,) if quick else tuple(dict.fromkeys((dtype, "float32"))):
        batch = Projection(fusions, 4, getattr(torch, t), seed)
        ms = medians({"ours": batch.ours(), "loop": batch.loop()}, 2 * seconds, random.Random(seed))
        name = "projection_speedup_b32" + ("" if t == dtype else f"_{t}")
        figures[name] = round(ms["loop"] / ms["ours"], 3)
    peaks = {name: peak_memory(name, 32, dtype, seed) for name in ("ours", "loop", "padded")}
    figures["peak_memory_vs_padded"] = round(peaks["ours"] / peaks["padded"], 4)
    report = {
        "figures": figures,
        "settings": {
            "quick": quick,
            "seed": seed,
            "heads": HEADS,
            "head_width": WIDTH,
            "headline_dtype": dtype,
            "expert_widths": EXPERT_WIDTHS[:4],
            "lengths": [SHORTEST, LONGEST],
            "peak_memory_mb": {name: round(mb) for name, mb in peaks.items()},
            "flex": measure_flex(seconds, seed, dtype) if flex else "not asked for, see --flex",
        },
        "machine": machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    return report, rows


def _find(rows: list[dict[str, Any]], requests: int, dtype: str) -> dict[str, Any]:
    wanted = {"requests": requests, "experts": 4, "dtype": dtype, "mode": "prefill"}
    found = (row for row in rows if row["mix"] == "ragged" and wanted.items() <= row.items())
    return next(found, {})


def _bf16_in_hardware() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported())


def machine() -> dict[str, Any]:
    """Describe the processor."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        name = models[0].split(":", 1)[1].strip() if models else name
    return {
        "cpu": name,
        "threads": torch.get_num_threads(),
        "avx512_bf16": _bf16_in_hardware(),
        "amx": torch.cpu._is_amx_tile_supported(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cells, same figures")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flex", action="store_true", help="compile and time FlexAttention too")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--write-results", action="store_true", help="add to benchmarks/results")
    parser.add_argument("--peak", choices=("ours", "loop", "padded"), help=argparse.SUPPRESS)
    parser.add_argument("--peak-requests", type=int, default=32, help=argparse.SUPPRESS)
    parser.add_argument("--peak-dtype", default="float32", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        print_peak(args.peak, args.peak_requests, args.peak_dtype, args.seed)
        return
    torch.set_num_threads(args.threads)
    report, rows = run(args.quick, args.seed, args.flex)
    print(json.dumps(report["figures"], indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    if args.write_results:
        hardware = re.sub(r"[^a-z0-9]+", "-", report["machine"]["cpu"].lower()).strip("-")
        date = datetime.datetime.now(tz=datetime.UTC).date()
        write_results(report, rows, RESULTS / f"latent_attention_{hardware}_{date}")


if __name__ == "__main__":
    main()
