"""Claim: an ensemble whose weights learn keeps up with its best member, also when labels drift.

Texts of the writer that no member has read come one by one (examples/moderation/texts.py), each is
judged, and then labelled. What is allowed changes twice: in the middle third nothing is said
against two of the categories. Members: the shipped classifiers, and one of meaning trained on that
other policy. Contenders on the same stream: Hedge, Hedge with a fixed share, even weights (the
control that learns nothing), the best member in hindsight, and the best member of each third. Best
is who loses least, by the loss of the product: the mean distance of scores from what is so.
Accuracy is that of flagged or not, and is compared with the most accurate member too. Intervals are
of 95%, by a bootstrap over texts, paired where two are compared, over all seeds.

Run as `python benchmarks/moderation.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from _common import console, finish, machine, markdown, parser, versions
from motet.encoders.encoder import Encoder, encoder
from motet.lab.moderation.train import Sample, train
from motet.moderation.classifier import SHIPPED, TextClassifier, place_of
from motet.moderation.ensembles import combined, losses
from motet.moderation.hedge import Hedge

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples" / "moderation"))
from texts import HELD_OUT, WRITERS, texts

ALLOWED = ("illicit", "sexual")
"""What the middle third allows."""
CHANGES = 2
"""Of the policy; the share is that over the labels."""
DRAWS = 2000


def lenient(base: Encoder) -> TextClassifier:
    """Return a classifier trained where two of the categories are allowed."""
    samples = [
        Sample(text, frozenset(of) - set(ALLOWED))
        for writer in WRITERS
        if writer != HELD_OUT
        for text, of in texts(writer, 120)
    ]
    return train(samples, "meaning", encoder=base)


def stream(labels: int, draw: int) -> list[tuple[str, dict[str, bool]]]:
    """Return texts with what is so of them, the policy changing twice."""
    per_category = math.ceil(labels / 9)
    said = texts(HELD_OUT, per_category, draw=draw)[:labels]
    names = sorted({name for _, of in said for name in of})
    told = []
    for number, (text, of) in enumerate(said):
        allowed = ALLOWED if labels // 3 <= number < 2 * labels // 3 else ()
        told.append((text, {name: name in of and name not in allowed for name in names}))
    return told


def scored(
    members: dict[str, TextClassifier], base: Encoder, said: list[str]
) -> list[dict[str, dict[str, float]]]:
    """Return what each member says of each text."""
    by_member = {
        name: one.scores(said) if one.encoder is None else one.of_vectors(base.encode(said))
        for name, one in members.items()
    }
    return [
        {
            name: dict(zip(members[name].categories, map(float, rows[number]), strict=True))
            for name, rows in by_member.items()
        }
        for number in range(len(said))
    ]


def play(
    told: list[tuple[str, dict[str, bool]]], scores: list[dict[str, dict[str, float]]]
) -> dict[str, Any]:
    """Return the loss and the rightness of each contender on each text, and the hedges."""
    members = tuple(scores[0])
    count = len(told)
    hedges = {
        "hedge": Hedge.of(members, count, None, 0.0),
        "hedge with a share": Hedge.of(members, count, None, CHANGES / count),
        "even weights": Hedge(members, 1e-12),
    }
    names = [*hedges, *members]
    lost = {name: np.zeros(count) for name in names}
    right = {name: np.zeros(count) for name in names}
    for number, ((_, truth), said) in enumerate(zip(told, scores, strict=True)):
        of = losses(said, truth)
        for name in names:
            if name in hedges:
                weights = hedges[name].weights
                lost[name][number] = sum(weights[m] * of[m] for m in members)
            else:
                weights = {m: float(m == name) for m in members}
                lost[name][number] = of[name]
            verdict = combined(said, weights, 0.5)
            right[name][number] = verdict.flagged == any(truth.values())
        for hedge in hedges.values():
            hedge.learn(of)
    thirds = [slice(at * count // 3, (at + 1) * count // 3) for at in range(3)]
    for kept in (lost, right):
        kept["best member"] = kept[min(members, key=lambda m: lost[m].sum())]
        kept["best of each third"] = np.concatenate(
            [kept[min(members, key=lambda m: lost[m][part].sum())][part] for part in thirds]
        )
    return {"lost": lost, "right": right, "hedges": hedges}


def interval(values: Any, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return a mean and its 95% interval by a bootstrap over texts."""
    draws = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def main() -> None:
    """Measure, print, and write what was asked for."""
    args = parser(__doc__).parse_args()
    labels, count = (300, 2) if args.quick else (1500, 5)
    base = encoder(backend="openvino")
    members = {name: TextClassifier.load(place_of(name, Path())) for name in SHIPPED}
    members["lenient"] = lenient(base)
    seeds = range(args.seed + 1, args.seed + 1 + count)
    runs = []
    for seed in seeds:
        with console.status(f"stream {seed} ..."):
            told = stream(labels, seed)
            runs.append(play(told, scored(members, base, [text for text, _ in told])))
    rng = np.random.default_rng(args.seed)
    joined = {
        what: {name: np.concatenate([run[what][name] for run in runs]) for name in runs[0][what]}
        for what in ("lost", "right")
    }
    figures, rows = figures_of(runs, joined, rng), []
    for name in joined["lost"]:
        accuracy, loss = (interval(joined[what][name], rng) for what in ("right", "lost"))
        cells = [f"{mean:.3f} ({low:.3f} to {high:.3f})" for mean, low, high in (accuracy, loss)]
        rows.append([name, *cells])
        console.print(f"{name:20} accuracy {cells[0]}  loss {cells[1]}")
    for name, value in figures.items():
        console.print(f"{name}: {value}")
    report = {
        "figures": figures,
        "settings": {
            "labels": labels,
            "seeds": list(seeds),
            "share": CHANGES / labels,
            "allowed in the middle third": ", ".join(ALLOWED),
            "quick": args.quick,
        },
        "machine": machine(),
        "versions": versions("motet", "numpy", "openvino"),
    }
    table = markdown(["contender", "accuracy", "loss"], rows)
    finish(args, "moderation", report, [f"## Each contender\n\n{table}"])


def figures_of(
    runs: list[dict[str, Any]], joined: dict[str, dict[str, Any]], rng: np.random.Generator
) -> dict[str, float]:
    """Return accuracies against the best member, and the worst regrets beside their bounds."""
    figures: dict[str, float] = {}
    right = joined["right"]
    most = max(runs[0]["hedges"]["hedge"].members, key=lambda name: right[name].mean())
    for key, name in (
        ("hedge", "hedge"),
        ("share", "hedge with a share"),
        ("even", "even weights"),
    ):
        for against, other in (
            ("best_member", "best member"),
            ("most_accurate_member", most),
            ("each_third", "best of each third"),
        ):
            mean, low, high = interval(right[name] - right[other], rng)
            figure = f"moderation_{key}_minus_{against}_accuracy"
            figures |= {figure: mean, f"{figure}_low": low, f"{figure}_high": high}
    for key, name in (("hedge", "hedge"), ("share", "hedge with a share")):
        for what, of in (("accuracy", right), ("loss", joined["lost"])):
            mean, low, high = interval(of[name] - of["even weights"], rng)
            figure = f"moderation_{key}_minus_even_{what}"
            figures |= {figure: mean, f"{figure}_low": low, f"{figure}_high": high}
        figures[f"moderation_{key}_regret_max"] = max(run["hedges"][name].regret for run in runs)
        figures[f"moderation_{key}_regret_bound"] = runs[0]["hedges"][name].bound()
    tracked = [
        run["hedges"]["hedge with a share"].loss - run["lost"]["best of each third"].sum()
        for run in runs
    ]
    figures["moderation_share_tracking_regret_max"] = max(tracked)
    figures["moderation_share_tracking_bound"] = runs[0]["hedges"]["hedge with a share"].bound(
        CHANGES
    )
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()
