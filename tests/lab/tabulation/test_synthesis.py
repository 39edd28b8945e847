"""The test of aggregators: one right draft among wrong ones, graded like any answer."""

import pyarrow as pa
import pytest
from pyarrow.parquet import write_table

from motet.config import parse
from motet.errors import TableError
from motet.experts import ENGINES
from motet.lab.tabulation import Prompt, synthesis_prompts, synthesis_results
from motet.weights import Setting


def prompt(name):
    return Prompt(
        id=name,
        messages=({"role": "user", "content": f"Q{name}"},),
        task="t",
        grader="exact",
        reference="yes",
        max_tokens=9,
    )


@pytest.fixture
def table(tmp_path):
    rows = {
        "id": ["1", "2", "3", "4"],
        "answer:a": ["yes", "no", "yes", "yes"],
        "answer:b": ["no", "no", "no", "no"],
        "answer:c": ["maybe", "maybe", "no", "never"],
        "score:a": [1.0, 0.0, 1.0, 1.0],
        "score:b": [0.0] * 4,
        "score:c": [0.0] * 4,
    }
    write_table(pa.table(rows), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_drafts_are_one_right_and_two_wrong(table):
    made = synthesis_prompts([prompt(n) for n in "12345"], table)
    assert [p.id for p in made] == ["1", "4"]  # 2: nobody is right; 3: wrong in one way only
    asked = made[0].messages[0]["content"]
    assert asked.startswith("Q1\n\nAnswer 1: ")
    assert all(f": {text}" in asked for text in ("yes", "no", "maybe")) and "never" not in asked
    assert made[0].grader == "exact" and made[0].reference == "yes"


def test_the_seed_decides(table):
    every = [
        [p.messages for p in synthesis_prompts([prompt("1"), prompt("4")], table, seed=s)]
        for s in range(8)
    ]
    assert every[0] == [
        p.messages for p in synthesis_prompts([prompt("1"), prompt("4")], table, seed=0)
    ]
    assert any(order != every[0] for order in every)
    assert len(synthesis_prompts([prompt("1"), prompt("4")], table, count=1)) == 1


def test_bad_input(table, tmp_path):
    with pytest.raises(TableError, match="no prompt has one right"):
        synthesis_prompts([prompt("9")], table)
    with pytest.raises(TableError, match="nowhere"):
        synthesis_prompts([prompt("1")], tmp_path / "nowhere.parquet")
    write_table(pa.table({"query": ["x"], "score:a": [1.0]}), tmp_path / "bare.parquet")
    with pytest.raises(TableError, match="holds no answers"):
        synthesis_prompts([prompt("1")], tmp_path / "bare.parquet")


async def test_who_writes_the_right_answer_is_counted_and_kept(table, tmp_path):
    document = parse(
        "version: 1\nexperts:\n"
        '  - {id: knows, engine: fake, tokens: ["yes"]}\n  - {id: echo, engine: fake}\n'
    )
    setting = Setting(tmp_path, tmp_path)
    asked = synthesis_prompts([prompt(n) for n in "14"], table)
    experts = {}
    for entry in document.config.experts:
        engine = ENGINES.load(entry.engine)
        experts[entry.id] = engine(entry, engine.Config.model_validate(entry.options), setting)
    kept = tmp_path / "answers.jsonl"
    results = await synthesis_results(document, asked, experts, kept)
    assert results == {"knows": (2, 2), "echo": (0, 2)}
    before = kept.read_bytes()
    assert await synthesis_results(document, asked, experts, kept) == results
    assert kept.read_bytes() == before
