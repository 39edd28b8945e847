"""What latent fusion knows through a peer, what it is worth in a fleet, and what it costs.

Two examples are the cases, trained first where their results are missing. In examples/transfer a
peer has learnt facts about invented towns, the primary never saw them, and fusion layers were
trained on other towns than those asked about; in mode A and in mode B:

- `pairing_gain_points`: fused less deranged peers, which read another question (closed set); the
  same for the open set (`open_`) and for mode B (`_b`);
- `fused_vs_text_to_text`: its accuracy over that of the primary with the peer's answer in its
  prompt; `added_prompt_tokens_vs_text`: tokens that fusion adds to the primary's prompt, as a share
  of those that text adds; `compute_vs_text`: operations of an answer, likewise.

In examples/fleet/fuse.py SmolLM2 writes beside three specialists on a mixed set:

- `system_gain_points`: fused less the best way without fusion that takes no more operations: a
  member alone, LoRA, learned routing, routing with samples, votes, or the base reading the
  specialists' answers; `fleet_pairing_gain_points`: as above.

On the members of the first, what serving takes; see `_fusion_costs.py`:

- `decode_time_vs_primary_b8`: a step of eight answers, fused over alone, in mode A;
- `prefill_vs_members`: reading a prompt fused, over the primary's and the peer's own readings;
- `layers_vs_primary`: parameters of the layers over the primary's, and `layers_bytes_vs_primary`;
- `memory_per_peer_token_vs_kv`: bytes remembered of a peer's token over those of a primary's keys
  and values; `decode_bytes_vs_primary_b8`: all that a step of eight holds, fused over alone.

Times are medians of alternating rounds in one run, at prompts of some 130 tokens.

Run as `python benchmarks/fusion.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from _fleet import ROOT
from _fusion_costs import EXAMPLE, ROWS, costs

VARIANTS = {"results": [], "results-b": ["--mode", "B"]}
"""Runs of the transfer example, by the file they write."""

FUSED = ("fused", "deranged")
"""Ways of the fleet that are the fusion itself."""


def results_of(script: Path, file: str, *options: str) -> dict[str, Any]:
    """Return an example's results, made first where they are missing."""
    results = script.parent / "work" / f"{file}.json"
    if not results.exists():
        subprocess.run([sys.executable, str(script), *options], check=True)
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def transfer_figures(transfer: Mapping[str, Any]) -> dict[str, float]:
    """Return what passes from the peer, in every variant."""
    results = transfer["results"]
    closed = results["tasks"]["closed"]
    accuracy, gflops = closed["accuracy"], closed["gflops"]
    figures = {
        "gain_over_primary_points": closed["differences"]["G"]["points"],
        "fused_vs_text_to_text": accuracy["fused"] / max(accuracy["text"], 1e-9),
        "added_prompt_tokens_vs_text": results["fused_adds_tokens"] / results["text_adds_tokens"],
        "compute_vs_text": gflops["fused"] / gflops["text"],
    }
    for file, found in transfer.items():
        ending = file.removeprefix("results").replace("-", "_")
        for task, prefix in (("closed", ""), ("open", "open_")):
            pairing = found["tasks"][task]["differences"]["P"]
            figures[f"{prefix}pairing_gain_points{ending}"] = pairing["points"]
            figures[f"{prefix}pairing_p_value{ending}"] = pairing["p"]
    return figures


def fleet_figures(fleet: Mapping[str, Any]) -> tuple[dict[str, float], str, str]:
    """Return what fusion is worth there, and the best without it: at its compute, and at any."""
    accuracy, gflops = fleet["accuracy"], fleet["gflops"]
    others = [way for way in accuracy if way not in FUSED]
    cheap = [way for way in others if gflops[way] <= gflops["fused"]]
    best = max(cheap, key=accuracy.__getitem__)
    pairing = fleet["fused_less"]["deranged"]
    figures = {
        "system_gain_points": accuracy["fused"] - accuracy[best],
        "fleet_pairing_gain_points": pairing["points"],
        "fleet_pairing_p_value": pairing["p"],
    }
    return figures, best, max(others, key=accuracy.__getitem__)


def transfer_rows(transfer: Mapping[str, Any]) -> list[list[str]]:
    """Return accuracies and compute of every way, the variants' fused ones below."""
    names = {"results-b": ", mode B"}
    rows = []
    for file, found in transfer.items():
        closed, opened = found["tasks"]["closed"], found["tasks"]["open"]
        for way in closed["accuracy"]:
            if file == "results" or way in FUSED:
                both = closed["accuracy"][way], opened["accuracy"][way], closed["gflops"][way]
                rows.append([way + names.get(file, ""), *(f"{value:.1f}" for value in both)])
    return rows


def fleet_rows(fleet: Mapping[str, Any]) -> list[list[str]]:
    """Return accuracies of every way, the best first, with its compute over the fused one's."""
    accuracy, gflops, by_task = fleet["accuracy"], fleet["gflops"], fleet["by_task"]
    return [
        [
            way,
            f"{accuracy[way]:.1f}",
            f"{gflops[way]:.1f}",
            f"{gflops[way] / gflops['fused']:.2f}",
            *(f"{value:.0f}" for value in by_task[way].values()),
        ]
        for way in sorted(accuracy, key=lambda way: -accuracy[way])
    ]


def differences(transfer: Mapping[str, Any], fleet: Mapping[str, Any]) -> list[list[str]]:
    """Return every paired difference with its interval."""
    apart = [
        [f"{task}{file.removeprefix('results')}", name, *map(_short, about.values())]
        for file, found in transfer.items()
        for task, both in found["tasks"].items()
        for name, about in both["differences"].items()
    ]
    return apart + [
        ["fleet", way, *map(_short, d.values())] for way, d in fleet["fused_less"].items()
    ]


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = parser(__doc__).parse_args()
    seed = ["--seed", str(args.seed)]
    transfer = {
        file: results_of(EXAMPLE / "run.py", file, *options, *seed)
        for file, options in VARIANTS.items()
    }
    fleet = results_of(ROOT / "examples" / "fleet" / "fuse.py", "results", *seed)
    in_fleet, cheap, best = fleet_figures(fleet)
    figures = {**transfer_figures(transfer), **in_fleet, **costs(20 if args.quick else 80)}
    head = ["answered by", "closed set, %", "open set, %", "GFLOP"]
    mixed = ["answered by", "mixed set, %", "GFLOP", "of the fused", *fleet["by_task"]["fused"]]
    tables = []
    for title, columns, rows in (
        ("Transfer", head, transfer_rows(transfer)),
        ("Fleet", mixed, fleet_rows(fleet)),
    ):
        shown = Shown(*columns, box=None, title=title, title_justify="left")
        for row in rows:
            shown.add_row(*row, style="bold" if row[0] == "fused" else "")
        console.print(shown)
        tables.append(f"## {title}\n\n" + markdown(columns, rows))
    for name, value in figures.items():
        console.print(f"{name:30} {value:.4g}")
    columns = ["set", "fused less", "points", "low", "high", "p"]
    tables.append("## Differences\n\n" + markdown(columns, differences(transfer, fleet)))
    tasks = transfer["results"]["tasks"]
    content = {
        "figures": figures,
        "settings": {
            "questions": {task: about["questions"] for task, about in tasks.items()}
            | {"fleet": fleet["questions"]},
            "steps": {"transfer": transfer["results"]["steps"], "fleet": fleet["steps"]},
            "minutes": {file: round(found["minutes"], 1) for file, found in transfer.items()}
            | {"fleet": round(fleet["minutes"], 1)},
            "best_without_fusion_at_its_compute": cheap,
            "best_without_fusion": best,
            "seed": args.seed,
            "rows": ROWS,
        },
        "machine": machine(),
        "versions": versions("motet", "torch", "transformers", "peft", "accelerate"),
    }
    finish(args, "fusion", content, tables)


def _short(value: float) -> str:
    return f"{value:.4g}"


if __name__ == "__main__":
    main()
