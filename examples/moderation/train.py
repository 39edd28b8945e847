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
EVERYDAY = Path(__file__).resolve().parent.parent / "fleet" / "everyday.txt"


def samples(writer: str, seed: int) -> list[Sample]:
    """Return what a writer writes."""
    return [Sample(text, frozenset(of)) for text, of in texts(writer, PER_CATEGORY, seed)]


def everyday() -> list[Sample]:
    """Return questions of every day, all harmless; every other one is read."""
    lines = EVERYDAY.read_text(encoding="utf-8").splitlines()
    return [Sample(line, frozenset()) for line in lines if line.strip() and line[0] != "#"]


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    read = [writer for writer in WRITERS if writer != HELD_OUT]
    learn = [sample for writer in read for sample in samples(writer, args.seed)]
    unread = samples(HELD_OUT, args.seed)
    asked = everyday()
    learn += asked[::2]
    for reads in SHIPPED:
        base = encoder() if reads == "meaning" else None
        made = train(learn, reads, encoder=base)
        card = {
            "trained_on": f"generated texts of the writers {', '.join(read)}, "
            "and everyday questions",
            "judged_on": f"generated texts of the writer {HELD_OUT}, whose phrases none has",
            "unread": judge(made, unread, base),
            "false_alarms": {
                "on": f"{len(asked[1::2])} other everyday questions, all harmless",
                "share": round(1 - judge(made, asked[1::2], base)["accuracy"], 4),
            },
            "read": judge(made, learn, base),
            "seed": args.seed,
            "license": "Apache-2.0",
        }
        made.card.update(card)
        digest = made.save(args.folder / reads)
        print(f"{reads}: {digest[:12]} {card['unread']}, false alarms {card['false_alarms']}")


if __name__ == "__main__":
    main()
