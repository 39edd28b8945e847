"""Converting units, and counting in days and hours."""

from __future__ import annotations

import random

from tasks.example import Example, Split

FACTORS = {
    ("hours", "minutes"): 60,
    ("minutes", "seconds"): 60,
    ("days", "hours"): 24,
    ("weeks", "days"): 7,
    ("years", "months"): 12,
    ("kilometres", "metres"): 1000,
    ("metres", "centimetres"): 100,
    ("centimetres", "millimetres"): 10,
    ("kilograms", "grams"): 1000,
    ("tonnes", "kilograms"): 1000,
    ("litres", "millilitres"): 1000,
    ("feet", "inches"): 12,
    ("yards", "feet"): 3,
    ("dozens", "pieces"): 12,
    ("pounds", "ounces"): 16,
}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
CONVERT = {
    "train": [
        "How many {t} are there in {a} {s}?",
        "Convert {a} {s} to {t}.",
        "What is {a} {s} in {t}?",
        "Express {a} {s} in {t}.",
        "{a} {s} is how many {t}?",
    ],
    "test": [
        "Change {a} {s} into {t}.",
        "How many {t} make {a} {s}?",
        "Give {a} {s} as {t}.",
    ],
}
AND = {
    "train": ["How many {t} are in {a} {s} and {b} {t}?", "Convert {a} {s} and {b} {t} to {t}."],
    "test": ["Change {a} {s} and {b} {t} into {t}."],
}
WEEKDAY = {
    "train": [
        "Today is {d}. What day is it in {k} days?",
        "What day of the week comes {k} days after {d}?",
        "If it is {d} now, which day is it {k} days later?",
    ],
    "test": [
        "Which weekday is {k} days after {d}?",
        "It is {d}. Name the weekday {k} days from now.",
    ],
}
CLOCK = {
    "train": [
        "It is {h}:00 on a 24-hour clock. What hour is it {k} hours later?",
        "A train leaves at {h}:00 and travels {k} hours. At what hour does it arrive?",
        "A shop opens at {h}:00 and stays open for {k} hours. At what hour does it close?",
        "The shift begins at {h}:00 and takes {k} hours. At what hour is it over?",
        "A cake goes into the oven at {h}:00 and bakes {k} hours. At what hour is it done?",
        "What is the hour {k} hours after {h}:00?",
    ],
    "test": ["A film starts at {h}:00 and lasts {k} hours. At what hour does it end?"],
}
# Amounts are split as well: an amount converted in training is never asked in a test.
AMOUNTS = {
    "train": [n for n in range(2, 41) if n % 4 != 3],
    "test": [n for n in range(2, 41) if n % 4 == 3],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one question about units, weekdays or the clock."""
    kind = rng.choice(["convert", "convert", "and", "and", "weekday", "clock", "clock"])
    if kind == "weekday":
        day, k = rng.choice(DAYS), rng.randint(1, 27)
        left, answer = k % 7, DAYS[(DAYS.index(day) + k) % 7]
        walk = [DAYS[(DAYS.index(day) + step) % 7] for step in range(left + 1)]
        steps = f"{k} days is {k // 7} weeks and {left} days: {', '.join(walk)}."
        prompt = rng.choice(WEEKDAY[split]).format(d=day, k=k)
        reference = {"choices": DAYS, "answer": answer}
        return Example(prompt, f"{steps} The answer is {answer}.", "choice", reference)
    if kind == "clock":
        h, k = rng.randint(0, 23), rng.randint(2, 12)
        over = h + k >= 24
        steps = f"{h} + {k} = {h + k}" + (f", {h + k} - 24 = {h + k - 24}" if over else "")
        value = (h + k) % 24
        prompt = rng.choice(CLOCK[split]).format(h=h, k=k)
        return Example(prompt, f"{steps}. The answer is {value}.", "numeric", value)
    (source, target), factor = rng.choice(sorted(FACTORS.items()))
    # Large factors stay easy products; small ones must stay within the tables a small model knows.
    a = rng.choice([n for n in AMOUNTS[split] if factor in (10, 100, 1000) or n <= 12])
    value, steps = a * factor, f"{a} * {factor} = {a * factor}"
    if kind == "and":
        b = rng.randint(1, factor - 1)
        prompt = rng.choice(AND[split]).format(a=a, b=b, s=source, t=target)
        steps, value = f"{steps}, {value} + {b} = {value + b}", value + b
    else:
        prompt = rng.choice(CONVERT[split]).format(a=a, s=source, t=target)
    return Example(prompt, f"{steps}. The answer is {value} {target}.", "numeric", value)
