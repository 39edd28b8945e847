"""Teach the router what no specialist is for: `python examples/fleet/everyday.py TABLE OUT`.

TABLE holds what experts were seen to do in their tasks, and a router that knows nothing else sends
"hello" to one of them. OUT is that table with the prompts of `everyday.txt` as one task more. No
grader tells a good answer to "hello" from a bad one, so nobody is asked these: their scores say who
is meant to answer, the base as often as it is right in chat, and the specialists never. Costs and
times are those of chat.

Every fourth prompt of a heading is kept for tests: it is in no table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.example import Split

if TYPE_CHECKING:
    import pyarrow as pa

TASK = "everyday"
LIKE = "chat"
BASE = "smollm"
_TEXTS = ("query", "task")
_NUMBERS = ("score:", "cost:", "latency:")
_HELD_OUT = 4


def prompts(split: Split) -> Iterator[tuple[str, str]]:
    """Yield heading and prompt of each line of a split, in the order of the file."""
    heading, number = "", 0
    for line in Path(__file__).with_name("everyday.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading, number = line.removeprefix("# "), 0
        elif line:
            number += 1
            if (number % _HELD_OUT == 0) == (split == "test"):
                yield heading, line


def taught(table: pa.Table) -> pa.Table:
    """Return what a router reads of a table, with a row for each prompt to learn."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = table.select([n for n in table.column_names if n in _TEXTS or n.startswith(_NUMBERS)])
    like = table.filter(pc.equal(table["task"], LIKE))
    learned = [prompt for _, prompt in prompts("train")]
    columns: dict[str, list[str] | list[float]] = {
        "query": learned,
        "task": [TASK] * len(learned),
    }
    for name in table.column_names:
        if name.startswith(_NUMBERS):
            known = name == f"score:{BASE}" or not name.startswith("score:")
            columns[name] = [pc.mean(like[name]).as_py() if known else 0.0] * len(learned)
    return pa.concat_tables([table, pa.table(columns, schema=table.schema)])


def main() -> None:
    """Write the table that was asked for."""
    from pyarrow import parquet

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    parquet.write_table(taught(parquet.read_table(args.table)), args.out)


if __name__ == "__main__":
    main()
