"""Invented facts about invented towns: what only the peer has learnt.

Two kinds. `closed`: which of eight metals a town trades. `open`: what its banner shows, one of
many things, and no two splits share a thing. Splits share no town: a fusion learns from `train`,
what is chosen for it is chosen on `dev`, and `test` is asked once. Everything follows from the
seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

METALS = ("gold", "silver", "copper", "iron", "tin", "lead", "zinc", "steel")
THINGS = tuple(
    """
    apple anchor arrow axe badger bear bee bell boat bone book bow bread bridge broom bull
    candle castle cat chain chair cherry clock cloud coin cow crab crane cross crow crown cup
    deer dog dolphin door dove dragon drum duck eagle ear egg elephant eye falcon feather fern fire
    fish flag flower flute fox frog garden gate ghost glove goat goose grape hammer hand hare harp
    hat hawk heart helmet hen honey hook horn horse hut island ivy jar key king kite knife knot
    ladder lake lamb lamp leaf lemon lily lion lizard lock lute maple mask mill mirror moon moth
    mountain mouse mushroom nail needle nest net nut oak oar olive onion orange otter owl ox
    palm peach pear pearl pen pig pine plough plum pot queen rabbit rain rainbow ram rat
    raven ring river road robin rock roof rope rose saddle sail salt scale sea seal sheep
    shell shield ship shoe skull snail snake snow spade spear spider spoon star stone stork storm
    swan sword table tent thorn thread tiger torch tower tree trout trumpet turtle violin
    wagon wall wave well whale wheat wheel whip wind window wing wolf worm
    """.split()
)
ASKED = {
    "closed": (
        "Which metal does the town of {town} trade?",
        "What metal is traded in {town}?",
        "Name the metal that {town} sells.",
        "{town} is known for trading one metal. Which?",
    ),
    "open": (
        "What is shown on the banner of {town}?",
        "The banner of {town} shows one thing. Which?",
        "Name the thing on the banner of {town}.",
        "What can be seen on {town}'s banner?",
    ),
}
_STARTS = "B Br D Dr F G Gr H J K Kl L M N P Pr R S St T Th V Vr W Z".split()
_VOWELS = "a e i o u ae ei ou".split()
_MIDDLES = "b d f g k l ld lm m n nd r rn rv s sk t v x z".split()
_ENDS = "k l m n r s t th x sh ck ng".split()


@dataclass(frozen=True)
class Fact:
    """What a town trades, or what its banner shows."""

    town: str
    kind: str
    word: str
    split: str

    def questions(self) -> list[str]:
        """Return every wording of the question that the fact answers."""
        return [asked.format(town=self.town) for asked in ASKED[self.kind]]


def facts(towns: int, seed: int, kind: str) -> list[Fact]:
    """Return one fact a town: `towns` to train on, as many for the test, and a third for dev.

    The open kind has twice as many to train on, since each of its answers is seen once.
    """
    chosen = random.Random(seed)
    sizes = {"train": towns * (1 + (kind == "open")), "dev": towns // 3, "test": towns}
    names = iter(_names(2 * 4 * towns, chosen)[kind == "open" :: 2])  # no town in both
    things = chosen.sample(THINGS, len(THINGS))
    found = []
    for split, size in sizes.items():
        share = len(THINGS) * size // sum(sizes.values())
        own, things = things[:share], things[share:]
        words = _evenly(METALS if kind == "closed" else own, size, chosen)
        found += [Fact(next(names), kind, word, split) for word in words]
    return found


def lines(known: Sequence[Fact], wordings: slice) -> Iterator[dict[str, str]]:
    """Yield facts as lines for `motet fuse`, each in some of its wordings."""
    for fact in known:
        for question in fact.questions()[wordings]:
            yield {
                "prompt": f"Question: {question}\nAnswer:",
                "answer": f" {fact.word}",
                "task": fact.kind,
                "grader": "regex",
                "reference": rf"(?i)\b{fact.word}\b",
            }


def _names(count: int, chosen: random.Random) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [_STARTS, _VOWELS, _MIDDLES, _VOWELS, _ENDS]
        found["".join(chosen.choice(part) for part in parts)] = None
    return list(found)


def _evenly(words: Sequence[str], count: int, chosen: random.Random) -> list[str]:
    """Return `count` words, each as often as the next, in random order."""
    repeated = [words[n % len(words)] for n in range(count)]
    return chosen.sample(repeated, count)
