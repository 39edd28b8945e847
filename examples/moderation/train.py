"""Trains the classifiers that Motet ships, and judges them on a writer they have not read.

    python examples/moderation/train.py src/motet/moderation/shipped

The same seed writes the same bytes on machines of one kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from texts import HELD_OUT, WRITERS, texts

from motet.encoders.encoder import encoder
from motet.lab.moderation.train import Sample, judge, train
from motet.moderation.classifier import SHIPPED

PER_CATEGORY = 120


def samples(writer: str, seed: int) -> list[Sample]:
    """Return what a writer writes."""
    return [Sample(text, frozenset(of)) for text, of in texts(writer, PER_CATEGORY, seed)]


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    read = [writer for writer in WRITERS if writer != HELD_OUT]
    learn = [sample for writer in read for sample in samples(writer, args.seed)]
    unread = samples(HELD_OUT, args.seed)
    for reads in SHIPPED:
        base = encoder() if reads == "meaning" else None
        made = train(learn, reads, encoder=base)
        card = {
            "trained_on": f"generated texts of the writers {', '.join(read)}",
            "judged_on": f"generated texts of the writer {HELD_OUT}, whose phrases none has",
            "unread": judge(made, unread, base),
            "read": judge(made, learn, base),
            "seed": args.seed,
            "license": "Apache-2.0",
        }
        made.card.update(card)
        digest = made.save(args.folder / reads)
        print(f"{reads}: {digest[:12]} {card['unread']}, on what it has read {card['read']}")


if __name__ == "__main__":
    main()
