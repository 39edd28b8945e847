"""What latent fusion knows through a peer, what it is worth in a fleet, and what it costs.

Two examples are the cases, trained first where their results are missing. In examples/transfer a
peer has learnt facts about invented towns, the primary never saw them, and fusion layers were
trained on other towns than those asked about:

- `pairing_gain_points`: fused less deranged peers, which read another question (closed set);
- `fused_vs_text_to_text`: its accuracy over that of the primary with the peer's answer in its
  prompt; `added_prompt_tokens_vs_text`: tokens that fusion adds to the primary's prompt, as a share
  of those that text adds.

In examples/fleet/fuse.py SmolLM2 writes beside three specialists on a mixed set:

- `system_gain_points`: fused less the best way without fusion: a member alone, routing by task, a
  vote, or the base reading the specialists' answers; `fleet_pairing_gain_points`: as above.

On the members of the first:

- `decode_time_vs_primary_b8`: a step of eight answers, fused over alone, in mode A;
- `prefill_vs_members`: reading a prompt fused, over the primary's and the peer's own readings;
- `layers_vs_primary`: parameters of the layers over the primary's.

Times are medians of alternating rounds in one run, at prompts of some 130 tokens.

Run as `python benchmarks/fusion.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from _fleet import ROOT


def results_of(script: Path, seed: int) -> dict[str, Any]:
    """Return an example's results, made first where they are missing."""
    results = script.parent / "work" / "results.json"
    if not results.exists():
        subprocess.run([sys.executable, str(script), "--seed", str(seed)], check=True)
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    args = arguments.parse_args()
    results = results_of(EXAMPLE / "run.py", args.seed)
    fleet = results_of(ROOT / "examples" / "fleet" / "fuse.py", args.seed)
    closed, opened = results["tasks"]["closed"], results["tasks"]["open"]
    accuracy = closed["accuracy"]
    mixed = fleet["accuracy"]
    best = max((v, n) for n, v in mixed.items() if n not in ("fused", "deranged"))
    pairing, open_pairing = closed["differences"]["P"], opened["differences"]["P"]
    figures = {
        "pairing_gain_points": pairing["points"],
        "pairing_p_value": pairing["p"],
        "gain_over_primary_points": closed["differences"]["G"]["points"],
        "fused_vs_text_to_text": accuracy["fused"] / max(accuracy["text"], 1e-9),
        "added_prompt_tokens_vs_text": results["fused_adds_tokens"] / results["text_adds_tokens"],
        "open_pairing_gain_points": open_pairing["points"],
        "open_pairing_p_value": open_pairing["p"],
        "system_gain_points": mixed["fused"] - best[0],
        "fleet_pairing_gain_points": fleet["fused_less"]["deranged"]["points"],
        "fleet_pairing_p_value": fleet["fused_less"]["deranged"]["p"],
        **costs(20 if args.quick else 80),
    }
    head = ["answered by", "closed set, %", "open set, %"]
    rows = [[n, f"{accuracy[n]:.1f}", f"{opened['accuracy'][n]:.1f}"] for n in accuracy]
    shown = Shown(*head, box=None)
    for row in rows:
        shown.add_row(*row, style="bold" if row[0] == "fused" else "")
    console.print(shown)
    for name, value in figures.items():
        console.print(f"{name:30} {value:.4g}")
    apart = [
        [task, name, *map(_short, d.values())]
        for task, about in results["tasks"].items()
        for name, d in about["differences"].items()
    ]
    apart += [["fleet", way, *map(_short, d.values())] for way, d in fleet["fused_less"].items()]
    kinds = list(next(iter(fleet["by_task"].values())))
    mixed_rows = [
        [way, f"{mixed[way]:.1f}", *(f"{fleet['by_task'][way][kind]:.0f}" for kind in kinds)]
        for way in sorted(mixed, key=lambda way: -mixed[way])
    ]
    content = {
        "figures": figures,
        "settings": {
            "questions": {task: about["questions"] for task, about in results["tasks"].items()},
            "best_without_fusion": best[1],
            "seed": args.seed,
            "rows": ROWS,
        },
        "machine": machine(),
        "versions": versions("motet", "torch", "transformers", "peft"),
    }
    columns = ["set", "fused less", "points", "low", "high", "p"]
    tables = [
        "## Transfer\n\n" + markdown(head, rows),
        "## Fleet\n\n" + markdown(["answered by", "mixed set, %", *kinds], mixed_rows),
        "## Differences\n\n" + markdown(columns, apart),
    ]
    finish(args, "fusion", content, tables)


def _short(value: float) -> str:
    return f"{value:.4g}"


if __name__ == "__main__":
    main()
