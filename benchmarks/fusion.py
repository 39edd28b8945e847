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
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table as Shown

from _common import console, finish, machine, markdown, parser, versions
from _fleet import ROOT

EXAMPLE = ROOT / "examples" / "transfer"
ROWS = 8
SENTENCE = "The mayor of {town} wrote to the guild about roads, grain, salt and the bridge. "


def results_of(script: Path, seed: int) -> dict[str, Any]:
    """Return an example's results, made first where they are missing."""
    results = script.parent / "work" / "results.json"
    if not results.exists():
        subprocess.run([sys.executable, str(script), "--seed", str(seed)], check=True)
    found: dict[str, Any] = json.loads(results.read_text())
    return found


def costs(rounds: int) -> dict[str, float]:
    """Return ratios of times on the example's members, and the size of the layers."""
    import torch

    from motet.config import load
    from motet.experts._rows import Batch
    from motet.fusion.artifact import load_layers, load_trained_member, parameters
    from motet.fusion.card import read_card
    from motet.fusion.generate import FusedBatch
    from motet.weights import Setting, default_cache

    document = load(EXAMPLE / "experts.yaml")
    setting = Setting(document.folder, default_cache())
    artifact = EXAMPLE / "work" / "fusion"
    card = read_card(artifact)
    layers = load_layers(artifact, card)
    members = [
        load_trained_member(card, member, setting, dtype=card.dtype, device="cpu")
        for member in card.members
    ]
    own, peer = members
    plain, fused = Batch(own.model), FusedBatch(layers, 0, members, card.draft_tokens)
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        times.setdefault(name, []).append(time.perf_counter() - began)

    with torch.inference_mode():
        for batch, alone in ((plain, True), (fused, False)):
            for n in range(ROWS):
                read(batch, job(batch, members, layers, n, alone))
        for n in range(rounds):
            timed("decode alone", plain.step)
            timed("decode fused", fused.step)
            if n % 4 == 0:
                lone, together = Batch(own.model), FusedBatch(layers, 0, members, 0)
                asked = job(lone, members, layers, n, True)
                both = job(together, members, layers, n, False)
                tokens = both.peers[1].tokens
                timed("read primary", lambda b=lone, j=asked: read(b, j))
                timed("read peer", lambda t=tokens: plainly(peer, t))
                timed("read fused", lambda b=together, j=both: read(b, j))
    median = {name: statistics.median(found) for name, found in times.items()}
    return {
        "decode_time_vs_primary_b8": median["decode fused"] / median["decode alone"],
        "prefill_vs_members": median["read fused"] / (median["read primary"] + median["read peer"]),
        "layers_vs_primary": parameters(layers) / sum(p.numel() for p in own.model.parameters()),
        **{f"{name.replace(' ', '_')}_s": value for name, value in median.items()},
    }


def job(batch: Any, members: Any, layers: Any, n: int, alone: bool) -> Any:
    """Return a long greedy request; `alone` has no peers."""
    from motet.experts._decoding import Choice, Sampling, Vocabulary
    from motet.fusion.generate import FusedJob
    from motet.types import Request

    class Silent(FusedJob):
        def send(self, item: object) -> None:
            """Nobody listens."""

    request = Request(model="", prompt=SENTENCE.format(town=f"Vrin{n}") * 6)
    own, peer = members
    reading = own.encode(request)
    choice = Choice(Vocabulary(own.tokenizer), frozenset(), Sampling(4096, temperature=0.0))
    bag_F = own.embed(reading.tokens)
    return Silent(
        batch,
        list(reading.tokens),
        [choice],
        False,
        None,
        reading=reading,
        peers={} if alone else {1: peer.encode(request)},
        logits_E=layers.router(bag_F[None])[0],
    )


def read(batch: Any, made: Any) -> None:
    """Read the prompt of a job to its end."""
    for _ in batch.read(made):
        pass


def plainly(member: Any, tokens: Any) -> None:
    """Read a prompt as the decoder itself does, and keep nothing."""
    import torch

    member.decoder(input_ids=torch.tensor([list(tokens)]), use_cache=False)


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
