"""Claim: attention over ragged latents need cost neither a loop over requests nor padding.

Contenders, alternating in random order inside one run, masks and plans made beforehand:

- ours: `motet.kernels.attend` on the packed rows of a plan.
- loop: one `scaled_dot_product_attention` a request, with that request's additive mask.
- padded: one `scaled_dot_product_attention` over the batch, inputs already padded (for free), with
  an additive mask.
- flex (`--flex`): compiled FlexAttention over the packed rows with a block mask, where it runs.

Ratios are of medians; above 1 means that ours is faster. With `--threads 1` the clock counts
processor time, so that other work on the machine disturbs nothing; otherwise it is the wall's.
Run from the repository:

    python benchmarks/latent_attention.py --quick --json figures.json
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from motet.kernels import Fusion, Plan, Segment, attend, project
from motet.kernels.cpu import fast_bf16

HEADS, WIDTH = 12, 64
SHARED = HEADS * WIDTH
SHORTEST, LONGEST = 16, 2048
EXPERT_WIDTHS = (1024, 2048, 512, 4096, 768, 1536, 3072, 896)
PEERS = 3
RESULTS = Path(__file__).parent / "results"


def make_batch(requests: int, experts: int, mix: str, generator: torch.Generator) -> list[Fusion]:
    """Draw requests: `ragged` lengths log-uniform in 16-2048, or `equal:T` tokens everywhere.

    Experts split a request's text into tokens of their own, up to a fifth more or fewer.
    """

    def segment(expert: int, length: int, text: int) -> Segment:
        ends = torch.randint(1, text + 1, (length,), generator=generator)
        return Segment(expert, ends.sort().values)

    fusions = []
    for b in range(requests):
        if mix == "ragged":
            u = torch.rand(1 + PEERS, generator=generator).tolist()
            length = round(SHORTEST * (LONGEST / SHORTEST) ** u[0])
            lengths = [max(1, round(length * (0.8 + 0.4 * x))) for x in u[1:]]
        else:
            length = int(mix.removeprefix("equal:"))
            lengths = [length] * PEERS
        text = 4 * length
        peers = [(b + i) % experts for i in range(1, min(PEERS, experts - 1) + 1)]
        fusions.append(
            Fusion(
                segment(b % experts, length, text),
                [segment(e, n, text) for e, n in zip(peers, lengths, strict=False)],
            )
        )
    return fusions


def heads_first(x: Tensor) -> Tensor:
    """Swap the tokens and the heads, as `scaled_dot_product_attention` wants them."""
    return x.transpose(-2, -3)


class Attention:
    """One batch ready for every contender."""

    def __init__(
        self, fusions: list[Fusion], experts: int, dtype: torch.dtype, decode: bool, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        plan = Plan.build(fusions, experts=experts)
        self.plan = plan.decode() if decode else plan
        self.q = torch.randn(self.plan.queries.n_rows, HEADS, WIDTH, generator=generator).to(dtype)
        rows = (self.plan.memory.n_rows, 2, HEADS, WIDTH)
        self.kv = torch.randn(rows, generator=generator).to(dtype)
        self.log_weight = torch.rand(plan.pairs, generator=generator).add(0.1).log()
        self.rows = [self.plan.rows_of(b) for b in range(len(fusions))]

    def mask(self, b: int) -> Tensor:
        """Return the additive mask of one request [T, K]."""
        asking, asked = self.rows[b]
        seen = torch.arange(asked.stop - asked.start) < self.plan.visible_Q[asking, None]
        bias = self.log_weight[self.plan.pair_M[asked].long()]
        return torch.where(seen, bias, -torch.inf).to(self.q.dtype)

    def ours(self) -> Callable[[], Tensor]:
        """Return the plan's way."""
        k, v = self.kv.unbind(1)
        return lambda: attend(self.q, k, v, self.plan, log_weight_P=self.log_weight)

    def loop(self) -> Callable[[], Tensor]:
        """Return the loop over requests."""
        masks = [self.mask(b)[None, None] for b in range(len(self.rows))]
        k, v = self.kv.unbind(1)

        def run() -> Tensor:
            out = torch.empty_like(self.q)
            for (asking, asked), mask in zip(self.rows, masks, strict=True):
                one = F.scaled_dot_product_attention(
                    heads_first(self.q[asking])[None],
                    heads_first(k[asked])[None],
                    heads_first(v[asked])[None],
                    attn_mask=mask,
                )
                out[asking] = heads_first(one[0])
            return out

        return run

    def padded(self) -> Callable[[], Tensor]:
        """Return the padded form; padding its inputs is not timed."""
        n, t, m = len(self.rows), self.plan.longest_query, self.plan.longest_memory
        q = self.q.new_zeros(n, t, HEADS, WIDTH)
        k, v = self.q.new_zeros(2, n, m, HEADS, WIDTH)
        mask = self.q.new_full((n, 1, t, m), -torch.inf)
        for b, (asking, asked) in enumerate(self.rows):
            queries, keys = asking.stop - asking.start, asked.stop - asked.start
            q[b, :queries] = self.q[asking]
            k[b, :keys], v[b, :keys] = self.kv[asked].unbind(1)
            mask[b, 0, :queries, :keys] = self.mask(b)
        return lambda: F.scaled_dot_product_attention(
            heads_first(q), heads_first(k), heads_first(v), attn_mask=mask
        )

    def flex(self) -> Callable[[], Tensor]:
        """Return compiled FlexAttention over all packed rows as one sequence."""
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        start, seen = self.plan.key_start_Q.long(), self.plan.visible_Q.long()
        bias = self.log_weight[self.plan.pair_M.long()].to(self.q.dtype)
        block_mask = create_block_mask(
            lambda b, h, q, k: (k >= start[q]) & (k < start[q] + seen[q]),
            1,
            1,
            len(self.q),
            len(self.kv),
            device="cpu",
        )
        compiled = torch.compile(flex_attention, dynamic=False)
        q, k, v = (heads_first(x)[None] for x in (self.q, *self.kv.unbind(1)))
        return lambda: compiled(
            q, k, v, score_mod=lambda s, b, h, i, j: s + bias[j], block_mask=block_mask
        )


class Projection:
    """The projections of one batch to packed queries, keys and values, ready for two contenders."""

    def __init__(self, fusions: list[Fusion], experts: int, dtype: torch.dtype, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.fusions, self.plan = fusions, Plan.build(fusions, experts=experts)
        widths = EXPERT_WIDTHS[:experts]

        def normal(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator).to(dtype)

        self.asking = [normal(n, d) for n, d in zip(self.plan.queries.counts, widths, strict=True)]
        self.asked = [normal(n, d) for n, d in zip(self.plan.memory.counts, widths, strict=True)]
        self.query_weights = [normal(d, SHARED) for d in widths]
        self.memory_weights = [normal(d, 2 * SHARED) for d in widths]

    def ours(self) -> Callable[[], Any]:
        """Return one product an expert, written to the plan's rows."""
        return lambda: (
            project(self.asking, self.query_weights, self.plan.queries),
            project(self.asked, self.memory_weights, self.plan.memory),
        )

    def loop(self) -> Callable[[], Any]:
        """Return one product a segment, written straight to its place in the packed tensors."""
        taken = [0] * len(self.asked)
        asked_before = list(taken)
        steps: list[tuple[Tensor, Tensor, bool]] = []
        for fusion in self.fusions:
            for i, segment in enumerate((fusion.primary, *fusion.peers)):
                e, n = segment.expert, len(segment.ends)
                counts, source, weights = (
                    (taken, self.asking, self.query_weights)
                    if i == 0
                    else (asked_before, self.asked, self.memory_weights)
                )
                steps.append((source[e][counts[e] : counts[e] + n], weights[e], i == 0))
                counts[e] += n

        def run() -> tuple[Tensor, Tensor]:
            q = self.asking[0].new_empty(sum(taken), SHARED)
            kv = self.asking[0].new_empty(sum(asked_before), 2 * SHARED)
            at = {True: 0, False: 0}
            for hidden, weight, asking in steps:
                out = (q if asking else kv)[at[asking] : at[asking] + len(hidden)]
                torch.mm(hidden, weight, out=out)
                at[asking] += len(hidden)
            return q, kv

        return run


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

    After a warm-up, three rounds at least; a contender that has used five times `seconds` sits out
    the rest, and one that slow from the start is judged by its warm-up.
    """
    first = {name: timed(run) for name, run in contenders.items()}
    times = {name: [t] if t > 5 * seconds else [] for name, t in first.items()}
    began = time.perf_counter()
    rounds = 0
    while rounds < 3 or (rounds < 31 and time.perf_counter() - began < seconds):
        for name in rng.sample(list(contenders), len(contenders)):
            if sum(times[name]) <= 5 * seconds:
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
    Plan.build(fusions, experts=experts)
    plan_ms = 1e3 * (time.perf_counter() - start)
    batch = Attention(fusions, experts, getattr(torch, dtype), decode, seed)
    contenders = {"ours": batch.ours(), "loop": batch.loop(), "padded": batch.padded()}
    ms = medians(contenders, seconds, random.Random(seed))
    row = {
        "requests": requests,
        "experts": experts,
        "mix": mix,
        "dtype": dtype,
        "mode": "decode" if decode else "prefill",
        **{f"{name}_ms": round(value, 4) for name, value in ms.items()},
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
            log_weight_P=batch.log_weight.double(),
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
        ms = medians({"ours": batch.ours(), "flex": batch.flex()}, seconds, random.Random(seed))
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
    run = getattr(batch, contender)()
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
    dtype = "bfloat16" if fast_bf16() else "float32"
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
        "avx512_bf16": fast_bf16(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def write_results(report: dict[str, Any], rows: list[dict[str, Any]], stem: Path) -> None:
    """Write the CSV, the plot and the page of one full run."""
    stem.parent.mkdir(exist_ok=True)
    hardware = report["machine"]["cpu"]
    with stem.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["hardware", *rows[0]])
        writer.writeheader()
        writer.writerows({"hardware": hardware, **row} for row in rows)
    plot(report, rows, stem.with_suffix(".png"))
    lines = [f"# Latent attention on {hardware}, {report['machine']['threads']} threads", ""]
    lines += ["| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report["figures"].items()]
    columns = list(rows[0])
    lines += ["", "|" + "|".join(columns) + "|", "|" + "---|" * len(columns)]
    lines += ["|" + "|".join(str(row[c]) for c in columns) + "|" for row in rows]
    details = {key: report[key] for key in ("settings", "machine", "versions")}
    lines += ["", "```json", json.dumps(details, indent=1), "```", ""]
    lines += [
        "Repeat it with `python benchmarks/latent_attention.py --threads N --write-results`.",
        "",
    ]
    stem.with_suffix(".md").write_text("\n".join(lines))


def plot(report: dict[str, Any], rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time by batch size for prefill and decode, and every ratio of the ragged grid."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ragged = [row for row in rows if row["mix"] == "ragged" and row["experts"] == 4]
    dtype = report["settings"]["headline_dtype"]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    colours = {"ours": "#0b6e4f", "loop": "#d17b0f", "padded": "#8a8a8a"}
    for axis, mode in zip(axes, ("prefill", "decode"), strict=False):
        some = [row for row in ragged if row["mode"] == mode and row["dtype"] == dtype]
        for name, colour in colours.items():
            x, y = [r["requests"] for r in some], [r[f"{name}_ms"] for r in some]
            axis.loglog(x, y, "o-", color=colour, base=2, label=name)
        axis.set_yscale("log", base=10)
        axis.set(
            title=f"{mode}, {dtype}", xlabel="requests in the batch", ylabel="median ms a level"
        )
        axis.legend(frameon=False)
    styles = {"loop": "-", "padded": "--"}
    for kind, colour in {
        ("prefill", dtype): "#0b6e4f",
        ("decode", dtype): "#1f77b4",
        ("prefill", "float32"): "#a03070",
        ("decode", "float32"): "#c9a227",
    }.items():
        some = [row for row in ragged if (row["mode"], row["dtype"]) == kind]
        for name, style in styles.items():
            x, y = [r["requests"] for r in some], [r[f"vs_{name}"] for r in some]
            label = f"{kind[0]} {kind[1]} vs {name}"
            axes[2].plot(x, y, style, marker=".", color=colour, label=label)
    axes[2].axhline(0.9, color="red", linewidth=1)
    axes[2].text(1, 0.84, "floor 0.9", color="red", va="top", fontsize=8)
    axes[2].set_xscale("log", base=2)
    axes[2].set_yscale("log", base=2)
    axes[2].set(title="speed-up of ours", xlabel="requests in the batch", ylabel="ratio of medians")
    axes[2].legend(frameon=False, fontsize=7)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    figure.suptitle(
        f"Cross-attention over ragged latents (16-2048 tokens), {report['machine']['cpu']}, "
        f"{report['machine']['threads']} threads"
    )
    figure.savefig(path, dpi=130)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer cells, same figures")
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flex", action="store_true", help="compile and time FlexAttention too")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
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
        hardware = report["machine"]["cpu"].lower().replace(" ", "-")
        date = datetime.datetime.now(tz=datetime.UTC).date()
        write_results(report, rows, RESULTS / f"latent_attention_{hardware}_{date}")


if __name__ == "__main__":
    main()
