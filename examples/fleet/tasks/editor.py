"""Writing the one right answer from several drafts.

The drafts are what the fleet's experts really said to prompts of the split `train`, out of
`table.parquet`; the request is the one that the strategy `aggregate` sends.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

from motet.composer.strategies.aggregate import synthesis
from motet.types import Request
from tasks.example import Example, Split

TABLE = Path(__file__).parent.parent / "table.parquet"
DRAFTS = 3
LONGEST = 400
"""Characters; a draft that rambles on is cut, as a token limit would."""


def make(rng: random.Random, split: Split) -> Example:
    """Return one question with drafts of which at least one is right; only `train` has a table."""
    if split != "train":
        raise ValueError("the editor is tested by `motet profile synthesis`")
    row = rng.choice(_rows())
    right = rng.choice(row["right"])
    others = [text for text in row["all"] if text != right]
    drafts = [right, *rng.sample(others, min(DRAFTS - 1, len(others)))]
    rng.shuffle(drafts)
    request = Request(model="", messages=({"role": "user", "content": row["query"]},))
    asked = synthesis(request, [draft[:LONGEST] for draft in drafts])
    return Example(asked.messages[0]["content"], right, "exact", right)


@cache
def _rows() -> list[dict[str, Any]]:
    """Return question, right answers and all answers, where some answer is right."""
    from pyarrow.parquet import read_table

    found = []
    for row in read_table(TABLE).to_pylist():
        answers = {
            name.removeprefix("answer:"): text.strip()
            for name, text in row.items()
            if name.startswith("answer:")
        }
        right = sorted({text for e, text in answers.items() if row[f"score:{e}"] >= 1 and text})
        every = sorted({text for text in answers.values() if text})
        if right and len(every) > 1:
            found.append({"query": row["query"], "right": right, "all": every})
    return found
