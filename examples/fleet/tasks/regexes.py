"""Regular expressions from a description, graded on strings that they must match or refuse."""

from __future__ import annotations

import random
import re

from tasks.example import Example, Split

CLASSES = {
    "digits": ("[0-9]", "0123456789"),
    "lowercase letters": ("[a-z]", "abcdefghijklmnopqrstuvwxyz"),
    "uppercase letters": ("[A-Z]", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "vowels": ("[aeiou]", "aeiou"),
}
SIGNS = {"a hyphen": "-", "an underscore": "_", "a colon": ":", "a slash": "/", "a comma": ","}
WORDS = {
    "train": "order item user page file room code test".split(),
    "test": "ticket plan unit team gate".split(),
}
EXACTLY = {"train": ["exactly {k} {c}", "{k} {c}"], "test": ["precisely {k} {c}"]}
SOME = {"train": ["one or more {c}", "at least one of the {c}"], "test": ["one or more {c}"]}
RANGE = {"train": ["{a} to {b} {c}", "between {a} and {b} {c}"], "test": ["from {a} to {b} {c}"]}
JOIN = {"train": [", then ", " followed by "], "test": [" and then "]}
FRAME = {
    "train": [
        "Write a regular expression that matches {d}.",
        "Regex for {d}:",
        "Give me a regular expression for strings made of {d}.",
    ],
    "test": ["Which regular expression matches {d}?", "I need a regex that matches {d}."],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one description with its pattern and the cases to judge another by."""
    parts = [_class(rng, split)]
    if rng.random() < 0.75:
        parts.append(_literal(rng, split))
        if rng.random() < 0.6:
            parts.append(_class(rng, split))
        if rng.random() < 0.3:
            parts.reverse()
    description = rng.choice(JOIN[split]).join(text for text, _, _ in parts)
    pattern = "".join(piece for _, piece, _ in parts)
    prompt = rng.choice(FRAME[split]).format(d=description)
    matches = sorted({"".join(_grow(rng, part) for part in parts) for _ in range(12)})[:6]
    refuses = sorted({bad for good in matches for bad in _spoil(rng, good, pattern)})[:10]
    return Example(prompt, pattern, "regex-cases", {"match": matches, "refuse": refuses})


Part = tuple[str, str, tuple[str, int, int]]
"""In words, as a pattern, and how to write an example: alphabet or text, fewest, most."""


def _class(rng: random.Random, split: Split) -> Part:
    name = rng.choice(sorted(CLASSES))
    piece, alphabet = CLASSES[name]
    kind = rng.choice(["exactly", "exactly", "some", "range"])
    if kind == "exactly":
        k = rng.randint(2, 8)
        return rng.choice(EXACTLY[split]).format(k=k, c=name), f"{piece}{{{k}}}", (alphabet, k, k)
    if kind == "some":
        return rng.choice(SOME[split]).format(c=name), f"{piece}+", (alphabet, 1, 6)
    a = rng.randint(1, 4)
    b = a + rng.randint(1, 4)
    text = rng.choice(RANGE[split]).format(a=a, b=b, c=name)
    return text, f"{piece}{{{a},{b}}}", (alphabet, a, b)


def _literal(rng: random.Random, split: Split) -> Part:
    if rng.random() < 0.6:
        name = rng.choice(sorted(SIGNS))
        return name, SIGNS[name], (SIGNS[name], 0, 0)
    word = rng.choice(WORDS[split])
    return f"the word {word}", word, (word, 0, 0)


def _grow(rng: random.Random, part: Part) -> str:
    alphabet, fewest, most = part[2]
    if most == 0:
        return alphabet
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(fewest, most)))


def _spoil(rng: random.Random, good: str, pattern: str) -> list[str]:
    """Return strings near `good` that the pattern refuses."""
    at = rng.randrange(len(good))
    tries = [
        good[:at] + good[at + 1 :],
        good + good[-1],
        good + "?",
        f"#{good}",
        good[:at] + "~",
        "",
    ]
    tries += [good[:at] + rng.choice("aZ5-") + good[at + 1 :], good.swapcase()]
    return [text for text in tries if re.fullmatch(pattern, text) is None]
