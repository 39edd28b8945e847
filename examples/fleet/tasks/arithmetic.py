"""Word problems of one or two steps in whole numbers; the answer shows each step."""

from __future__ import annotations

import random

from tasks.example import Example, Split

NAMES = {
    "train": "Anna Ben Carla David Emma Felix Grace Henry Iris Jack Karen Leo Mia Noah Olga Paul "
    "Rosa Sam Tina Victor".split(),
    "test": "Amir Bella Chen Dora Ethan Farah Gina Hugo Ivan Jade Kofi Lena".split(),
}
ITEMS = {
    "train": "apples books pens marbles stickers cards coins eggs cookies flowers balls shells "
    "tickets stamps pencils cups".split(),
    "test": "oranges magazines crayons beads buttons candles muffins roses keys plates".split(),
}
GROUPS = {
    "train": "boxes bags shelves baskets packs jars".split(),
    "test": "crates trays drawers bundles".split(),
}
ADD = {
    "train": [
        "{n} has {a} {i} and buys {b} more.",
        "{n} had {a} {i} and then got {b} more.",
        "There are {a} {i} on the table. {n} adds {b} more {i}.",
        "{n} collected {a} {i} on Monday and {b} {i} on Tuesday.",
        "{n} has {a} {i}. A friend gives {n} another {b}.",
    ],
    "test": [
        "{n} owns {a} {i} and receives {b} more.",
        "{n} picked {a} {i} in the morning and {b} {i} in the evening.",
        "{n} starts with {a} {i} and finds {b} more.",
    ],
}
TAKE = {
    "train": [
        "{n} has {a} {i} and gives away {b}.",
        "{n} had {a} {i} and lost {b} of them.",
        "There were {a} {i} in the room. {n} took {b} away.",
        "{n} bought {a} {i} and used {b} of them.",
        "{n} had {a} {i} and sold {b}.",
    ],
    "test": [
        "{n} owns {a} {i} and gives {b} to a neighbour.",
        "{n} had {a} {i}, but {b} of them were lost.",
        "{n} starts with {a} {i} and sells {b} of them.",
    ],
}
TIMES = {
    "train": [
        "{n} has {a} {g} with {b} {i} in each.",
        "{n} fills {a} {g}. Each holds {b} {i}.",
        "There are {a} {g}, and every one has {b} {i}.",
        "{n} buys {a} {g} of {i}. There are {b} {i} in each.",
    ],
    "test": [
        "{n} owns {a} {g}, each with {b} {i}.",
        "{n} packs {a} {g} and puts {b} {i} in each.",
    ],
}
SHARE = {
    "train": [
        "{n} shares {c} {i} equally among {b} friends.",
        "{n} puts {c} {i} into {b} {g}, the same number in each.",
        "{c} {i} are divided equally between {b} children.",
    ],
    "test": [
        "{n} splits {c} {i} equally among {b} cousins.",
        "{n} divides {c} {i} equally into {b} {g}.",
    ],
}
THEN_ADD = {
    "train": ["Then {n} gets {d} more.", "Later {n} buys {d} more.", "Then {d} more are added."],
    "test": ["Then {n} receives {d} more.", "Later {n} finds {d} more."],
}
THEN_TAKE = {
    "train": ["Then {n} loses {d}.", "Later {n} gives away {d}.", "Then {d} are sold."],
    "test": ["Then {n} sells {d}.", "Later {d} are given away."],
}
TOTAL = {
    "train": [
        "How many {i} are there now?",
        "How many {i} does {n} have now?",
        "How many {i} are there in all?",
    ],
    "test": ["What is the number of {i} now?", "How many {i} does {n} have in the end?"],
}
EACH = {
    "train": ["How many {i} does each get?", "How many {i} are there for each?"],
    "test": ["How many {i} does each one receive?"],
}
FRAME = {
    "train": ["{}", "Solve: {}", "{} Show the steps."],
    "test": ["Work this out: {}", "{}"],
}


def make(rng: random.Random, split: Split) -> Example:
    """Return one word problem."""
    words = {
        "n": rng.choice(NAMES[split]),
        "i": rng.choice(ITEMS[split]),
        "g": rng.choice(GROUPS[split]),
    }
    kind = rng.choice(["add", "take", "times", "share", "add", "take", "times"])
    ask = TOTAL
    if kind == "add":
        a, b = rng.randint(3, 60), rng.randint(2, 40)
        text, value, steps = rng.choice(ADD[split]), a + b, [f"{a} + {b} = {a + b}"]
    elif kind == "take":
        a = rng.randint(8, 80)
        b = rng.randint(2, a - 3)
        text, value, steps = rng.choice(TAKE[split]), a - b, [f"{a} - {b} = {a - b}"]
    elif kind == "times":
        a, b = rng.randint(2, 9), rng.randint(2, 12)
        text, value, steps = rng.choice(TIMES[split]), a * b, [f"{a} * {b} = {a * b}"]
    else:
        b, value = rng.randint(2, 9), rng.randint(2, 12)
        a, ask = b * value, EACH
        text, steps = rng.choice(SHARE[split]), [f"{a} / {b} = {value}"]
    parts = [text.format(a=a, b=b, c=a, **words)]
    if kind != "share" and rng.random() < 0.5:
        if rng.random() < 0.5 or value < 6:
            d = rng.randint(2, 20)
            parts.append(rng.choice(THEN_ADD[split]).format(d=d, **words))
            steps.append(f"{value} + {d} = {value + d}")
            value += d
        else:
            d = rng.randint(2, value - 2)
            parts.append(rng.choice(THEN_TAKE[split]).format(d=d, **words))
            steps.append(f"{value} - {d} = {value - d}")
            value -= d
    parts.append(rng.choice(ask[split]).format(**words))
    prompt = rng.choice(FRAME[split]).format(" ".join(parts))
    return Example(prompt, f"{', '.join(steps)}. The answer is {value}.", "numeric", value)
