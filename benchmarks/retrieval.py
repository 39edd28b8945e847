"""Claim: an encoder chosen for each query finds more than any one encoder for all of them.

RouterRetriever (arXiv 2409.02685) over maps of queries on one frozen encoder, in several domains
whose documents stand in one index: nDCG@10 of the base, of the expert of each domain for all
queries, of one map trained on all domains, of the router, of the router that leaves unsure queries
to that map (how unsure is chosen on questions held out of what is learned from), and of the oracle
that knows each query's domain. The control draws the expert of each query at random. Intervals are
of 95%, by a bootstrap over queries, paired where two are compared; figures are over several splits.
Twice: with questions whose words alone do not tell the domain, and (`cued`) with questions that say
where they are asked. "Single" is the best of the base, each expert, and the map trained on all
domains.

Run as `python benchmarks/retrieval.py [--encoder NAME] [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np

from _common import console, finish, machine, markdown, parser, versions
from _domains import generated, manual
from motet.encoders.domains import Domains
from motet.encoders.encoder import DEFAULT_ENCODER, Encoder, encoder
from motet.lab.retrieval.data import Question
from motet.lab.retrieval.fit import FitOptions, fit
from motet.lab.retrieval.judge import ndcg

PER_DOMAIN = 240
TEST_SHARE = 0.4
DRAWS = 2000
LEVELS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


class Memory:
    """An encoder that remembers: splits share most of their texts."""

    def __init__(self, base: Encoder) -> None:
        self._base, self.name, self.digest = base, base.name, base.digest
        self._known: dict[str, Any] = {}

    def encode(self, texts: list[str], report: Any = None) -> Any:
        """Return `[texts, width]`."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known |= dict(zip(new, self._base.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def split(
    pairs: list[Question], rng: random.Random, share: float
) -> tuple[list[Question], list[Question]]:
    """Return pairs to learn from and pairs to judge on, the same share of each domain."""
    learn, judge = [], []
    for domain in sorted({pair.domain for pair in pairs}):
        own = [pair for pair in pairs if pair.domain == domain]
        rng.shuffle(own)
        cut = round(len(own) * share)
        judge += own[:cut]
        learn += own[cut:]
    return learn, judge


def surest(base: Memory, learn: list[Question], seed: int, epochs: int) -> float:
    """Return the confidence under which the map of all domains does better than the nearest's.

    Chosen on a fifth of what is learned from, which the experts that choose have not seen.
    """
    fitted, left = split(learn, random.Random(seed), 0.2)
    said = contenders(base, fitted, left, seed, epochs)
    sure, nearest, shared = said["confidence"], said["router"], said["one map for all"]
    return max(LEVELS, key=lambda level: np.where(sure < level, shared, nearest).mean())


def contenders(
    base: Memory, learn: list[Question], judge: list[Question], seed: int, epochs: int
) -> dict[str, Any]:
    """Return nDCG@10 of each contender for each question that is judged, and more of each."""
    options = FitOptions(seed=seed, epochs=epochs)
    experts: Domains = fit(learn, base, options)  # type: ignore[arg-type]
    shared = fit([replace(p, domain="all") for p in learn], base, options)  # type: ignore[arg-type]
    texts = sorted({pair.document for pair in [*learn, *judge]})
    place = {text: row for row, text in enumerate(texts)}
    documents = base.encode(texts)
    queries = base.encode([pair.question for pair in judge])
    answers = np.array([place[pair.document] for pair in judge])
    truth = np.array([experts.names.index(pair.domain) for pair in judge])
    chances = experts.chances(queries)
    chosen = chances.argmax(axis=1)
    drawn = np.random.default_rng(seed).integers(len(experts.names), size=len(judge))
    by_expert = [
        ndcg(experts.turned(queries, number), documents, answers)
        for number in range(len(experts.names))
    ]
    of_each = np.stack(by_expert)
    everybody = np.arange(len(judge))
    return {
        "base": ndcg(queries, documents, answers),
        **{f"expert {name}": v for name, v in zip(experts.names, by_expert, strict=True)},
        "one map for all": ndcg(shared.turned(queries, 0), documents, answers),
        "random": of_each[drawn, everybody],
        "router": of_each[chosen, everybody],
        "oracle": of_each[truth, everybody],
        "routed right": (chosen == truth).astype(float),
        "confidence": chances.max(axis=1),
    }


def one_split(base: Memory, pairs: list[Question], seed: int, epochs: int) -> tuple[Any, list[str]]:
    """Return nDCG@10 of each contender for each query of one split, and the queries' domains."""
    learn, judge = split(pairs, random.Random(seed), TEST_SHARE)
    said = contenders(base, learn, judge, seed, epochs)
    sure = said.pop("confidence") >= surest(base, learn, seed, epochs)
    said["router or all"] = np.where(sure, said["router"], said["one map for all"])
    return said, [pair.domain for pair in judge]


def interval(values: Any, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return a mean and its 95% interval by a bootstrap over queries."""
    draws = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--encoder", default=DEFAULT_ENCODER)
    args = arguments.parse_args()
    base = Memory(encoder(args.encoder, backend="openvino"))
    seeds = range(args.seed, args.seed + (1 if args.quick else 5))
    figures: dict[str, float] = {}
    tables, settings = [], {}
    for cued in (False, True):
        suffix = "_cued" if cued else ""
        more, table, told = world(base, seeds, cued, args.quick)
        figures |= {f"{name}{suffix}": round(value, 4) for name, value in more.items()}
        settings |= {f"{name}{suffix}": value for name, value in told.items()}
        title = "Questions that say where they are asked" if cued else "Words that are shared"
        tables.append(f"## nDCG@10: {title}\n\n{table}\n")
    report = {
        "figures": figures,
        "settings": {
            "encoder": args.encoder,
            "seeds": list(seeds),
            "quick": args.quick,
            **settings,
        },
        "machine": machine(),
        "versions": versions("motet", "torch", "openvino", "numpy"),
    }
    finish(args, "retrieval", report, tables)


def world(
    base: Memory, seeds: range, cued: bool, quick: bool
) -> tuple[dict[str, float], str, dict[str, Any]]:
    """Return the figures of one kind of questions, their table, and what was asked."""
    pairs = generated(PER_DOMAIN, random.Random(seeds.start), cued=cued) + manual()
    splits = []
    for seed in seeds:
        with console.status(f"split {seed} ..."):
            splits.append(one_split(base, pairs, seed, 20 if quick else 60))
    said = {name: np.concatenate([one[name] for one, _ in splits]) for name in splits[0][0]}
    domains = np.array([domain for _, names in splits for domain in names])
    rng = np.random.default_rng(seeds.start)
    together = ("routed right", "random", "router", "router or all", "oracle")
    single = {n: v for n, v in said.items() if n not in together}
    experts = [name for name in single if name.startswith("expert ")]
    expert = max(experts, key=lambda name: single[name].mean())
    best = max(single, key=lambda name: single[name].mean())
    figures: dict[str, float] = {}
    for name, (one, other) in {
        "router_retriever_minus_best_single_ndcg": ("router", best),
        "router_retriever_minus_best_expert_ndcg": ("router", expert),
        "router_retriever_with_fallback_minus_best_single_ndcg": ("router or all", best),
        "router_retriever_minus_base_ndcg": ("router", "base"),
        "router_retriever_minus_one_map_ndcg": ("router", "one map for all"),
        "router_retriever_minus_random_ndcg": ("router", "random"),
        "oracle_minus_router_retriever_ndcg": ("oracle", "router"),
    }.items():
        mean, low, high = interval(said[one] - said[other], rng)
        figures |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    for name in ("base", "one map for all", "router", "router or all", "oracle"):
        figures[f"ndcg_{name.replace(' ', '_')}"] = float(said[name].mean())
    figures["routed_right"] = float(said["routed right"].mean())
    known = sorted(set(domains))
    rows = []
    for name, values in said.items():
        mean, low, high = interval(values, rng)
        each = [f"{values[domains == domain].mean():.3f}" for domain in known]
        rows.append([name, f"{mean:.3f} ({low:.3f} to {high:.3f})", *each])
        console.print("{:18} {}  {}".format(rows[-1][0], rows[-1][1], " ".join(each)))
    console.print(f"best single: {best}; router minus it: "
                  f"{figures['router_retriever_minus_best_single_ndcg']:+.3f} ("
                  f"{figures['router_retriever_minus_best_single_ndcg_low']:+.3f} to "
                  f"{figures['router_retriever_minus_best_single_ndcg_high']:+.3f})")  # fmt: skip
    counts = {domain: int((domains == domain).sum()) for domain in known}
    told = {"queries": counts, "best_single": best, "best_expert": expert}
    return figures, markdown(["encoder", "all queries", *known], rows), told


if __name__ == "__main__":
    main()
