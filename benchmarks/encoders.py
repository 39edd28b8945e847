"""Claim: compiled by OpenVINO, the encoder says the same as by torch in a fraction of the time.

Both encode the same texts in turn, in random order inside one run, in one process with two
threads: one text at a time, as a lone request meets it, and 32 at once, as a crowd does. Ratios are
of medians; above 1 means that OpenVINO is faster. The cosine is the worst over all texts.

Run as `python benchmarks/encoders.py [--encoder NAME] [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

from _common import console, finish, machine, markdown, parser, versions
from motet.encoders.encoder import DEFAULT_ENCODER, Encoder, encoder

WORDS = (
    "route the question to whoever answers it best and say why a number of examples help when "
    "the sum of twelve apples in Python returns JSON for a contract under French law"
).split()
LENGTHS = (5, 20, 80, 200)
"""Words of a text."""
CROWD = 32


def texts(count: int, words: int, rng: random.Random) -> list[str]:
    """Return texts of one length."""
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]


def measure(
    contenders: dict[str, Encoder], batches: Sequence[Sequence[str]], rng: random.Random
) -> dict[str, float]:
    """Return each contender's median milliseconds for a batch, all of them taking turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for batch in batches:
        for name in rng.sample(list(contenders), len(contenders)):
            began = time.perf_counter()
            contenders[name].encode(batch)
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--encoder", default=DEFAULT_ENCODER)
    args = arguments.parse_args()
    rng = random.Random(args.seed)
    with console.status("Loading both ..."):
        contenders = {name: encoder(args.encoder, backend=name) for name in ("torch", "openvino")}
        for one in contenders.values():
            one.load()
    figures, rows, cosines = {}, [], []
    for words in LENGTHS:
        for size in (1, CROWD):
            rounds = (20 if args.quick else 100) if size == 1 else (3 if args.quick else 15)
            batches = [texts(size, words, rng) for _ in range(rounds)]
            ms = measure(contenders, batches, rng)
            ratio = ms["torch"] / ms["openvino"]
            figures[f"openvino_speedup_{words}_words_{size}"] = round(ratio, 3)
            rows.append([words, size, *(f"{value:.2f}" for value in ms.values()), f"{ratio:.2f}"])
            console.print(
                "{:4} words, {:2} at once: {:>8} and {:>8} ms, {:>5} times".format(*rows[-1])
            )
        asked = texts(CROWD, words, rng)
        vectors = [one.encode(asked) for one in contenders.values()]
        cosines.append(float((vectors[0] * vectors[1]).sum(axis=1).min()))
    figures["openvino_cosine_min"] = round(min(cosines), 6)
    report = {
        "figures": figures,
        "settings": {"encoder": args.encoder, "quick": args.quick, "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "torch", "openvino", "sentence-transformers"),
    }
    head = ["words", "texts at once", "torch ms", "OpenVINO ms", "ratio"]
    finish(args, "encoders", report, ["## Medians\n\n" + markdown(head, rows)])


if __name__ == "__main__":
    main()
