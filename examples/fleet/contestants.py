"""Ways to answer without fusion: routing, votes and samples, made of members' own answers.

Every way has texts and the floating-point operations of each (see `motet.fusion.compute`), so that
it can be given as much as the fusion takes. The router's encoder, under 1 GFLOP a question, is not
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motet.fusion.answering import Generated

SAMPLES = 8
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Way:
    """One answer a question, and what it took."""

    texts: Sequence[str]
    flops: Sequence[float]

    @property
    def gflops(self) -> float:
        """Operations of a question on average, in 10^9."""
        return sum(self.flops) / len(self.flops) / 1e9


def trained_router(
    table: Path, members: Sequence[str], queries: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return a ridge router fitted on the rows of a table that ask one of `queries`."""
    from motet import tables
    from motet.encoders.encoder import encoder
    from motet.routers.learned.fit import train

    whole = tables.read(table).of(members)
    wanted = set(queries)
    own = whole.take([n for n, query in enumerate(whole.queries or ()) if query in wanted])
    reader = encoder()
    vectors = reader.encode(own.queries or ())
    return {"artifact": train(own, vectors, "ridge", {}, reader, seed), "encoder": reader}


def orders(router: Mapping[str, Any], queries: Sequence[str]) -> list[list[str]]:
    """Return, for each query, the members as the router ranks them, the best first."""
    from motet.routers.learned.base import Queries

    learned = router["artifact"]
    seen = Queries(embeddings=router["encoder"].encode(queries), texts=tuple(queries))
    ranked = learned.decide(learned.estimate(seen)).order
    return [[learned.experts[column] for column in row] for row in ranked]


def routed(members: Mapping[str, Way], chosen: Sequence[str]) -> Way:
    """Return the answers of one member a question."""
    texts = [members[name].texts[n] for n, name in enumerate(chosen)]
    return Way(texts, [members[name].flops[n] for n, name in enumerate(chosen)])


def voted(members: Mapping[str, Way], asked: Sequence[Sequence[str]]) -> Way:
    """Return what most of the members asked agree on, each question by its own."""
    texts, flops = [], []
    for n, names in enumerate(asked):
        texts.append(majority([members[name].texts[n] for name in names]))
        flops.append(sum(members[name].flops[n] for name in names))
    return Way(texts, flops)


def agreed(samples: Sequence[Sequence[Generated]], most_gflops: float) -> tuple[int, Way]:
    """Return self-consistency: what most samples agree on, as many as the operations allow."""
    for count in range(SAMPLES, 0, -1):
        texts = [majority([answer.text for answer in own[:count]]) for own in samples]
        flops = [own[0].reading + sum(a.writing for a in own[:count]) for own in samples]
        if Way(texts, flops).gflops <= most_gflops or count == 1:
            break
    return count, Way(texts, flops)


def sampled(
    artifact: Path, config: Path, chosen: Sequence[str], data: Path, max_tokens: int, seed: int
) -> list[list[Generated]]:
    """Return several answers of the chosen member to each question, drawn at a temperature."""
    from motet.cli.bars import progress_bars
    from motet.config import load
    from motet.fusion.answering import alone
    from motet.fusion.artifact import load_trained_member
    from motet.fusion.card import read_card
    from motet.fusion.data import read_examples
    from motet.generation.decoding import Sampling
    from motet.weights import Setting, default_cache

    card, setting = read_card(artifact), Setting(load(config).folder, default_cache())
    requests = [example.request for example in read_examples(data, card.ids)]
    sampling = Sampling(max_tokens, temperature=TEMPERATURE, seed=seed, stop=("\n",))
    found: dict[int, list[Generated]] = {}
    with progress_bars() as report:
        for about in card.members:
            own = [n for n, name in enumerate(chosen) if name == about.id]
            if not own:
                continue
            member = load_trained_member(card, about, setting, dtype=card.dtype, device="cpu")
            answers = alone(
                member,
                [requests[n] for n in own],
                sampling,
                lambda done, about=about, own=own: report(f"{about.id} samples", done, len(own)),
                copies=SAMPLES,
            )
            found |= dict(zip(own, answers, strict=True))
    return [found[n] for n in range(len(requests))]


def majority(answers: Sequence[str]) -> str:
    """Return the answer that most agree on; where nobody agrees, the first."""
    from motet.composer.strategies.ballot import normal

    votes = Counter(normal(answer, "auto") for answer in answers)
    return next(a for a in answers if votes[normal(a, "auto")] == max(votes.values()))
