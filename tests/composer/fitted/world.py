"""Recorded tables of a made-up world: sums and colours, and experts who know the one or the other."""

import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet

EXPERTS = {"cheap": (0.75, 0.6), "sums": (0.95, 0.3), "hues": (0.3, 0.95), "dear": (0.97, 0.97)}
COSTS = {"cheap": 0.0001, "sums": 0.001, "hues": 0.001, "dear": 0.02}
HUES = ("red", "green", "blue", "black", "white")


def columns(rows, seed, experts=tuple(EXPERTS)):
    """Return the columns of a recorded table; even rows are sums, odd ones colours."""
    random = np.random.default_rng(seed)
    made = {"query": [], "task": [], "reference": []}
    for row in range(rows):
        one, other = random.integers(100, size=2)
        is_sum = row % 2 == 0
        made["task"].append("sums" if is_sum else "hues")
        made["query"].append(
            f"add the numbers {one} plus {other}, case {seed}-{row}"
            if is_sum
            else f"which colour has the sky of picture {one}, case {seed}-{row}"
        )
        made["reference"].append(str(one + other) if is_sum else str(random.choice(HUES)))
    for expert in experts:
        answers, scores, texts = [], [], []
        for row, reference in enumerate(made["reference"]):
            right = random.random() < EXPERTS[expert][row % 2]
            wrong = [h for h in HUES if h != reference]
            if row % 2 == 0:
                given = f"${reference}" if expert == "dear" else reference
                given = given if right else str(int(reference) + int(random.integers(1, 4)))
            else:
                given = f'"{reference}"' if right else str(random.choice(wrong[:2]))
            answers.append(given)
            scores.append(float(right))
            words = "because it is so. " * (8 if right else 2)
            texts.append(f"I say {given}, {words}{expert if row % 3 else ''}")
        made[f"score:{expert}"] = np.array(scores, np.float32)
        made[f"cost:{expert}"] = np.full(rows, COSTS[expert], np.float32)
        made[f"answer:{expert}"] = answers
        made[f"tokens:{expert}"] = np.array([len(text) // 4 for text in texts], np.int32)
        made[f"text:{expert}"] = texts
    return made


def write(path, rows, seed, **changes):
    """Write such a table, some columns changed or, with None, left out; return its path."""
    made = {**columns(rows, seed), **changes}
    parquet.write_table(pa.table({n: v for n, v in made.items() if v is not None}), path)
    return path


def write_pools(path):
    """Write lists of experts; return its path."""
    path.write_text(json.dumps({"all": list(EXPERTS), "weak": ["cheap", "sums", "hues"]}))
    return path
