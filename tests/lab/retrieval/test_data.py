"""Questions and documents from a file, every fault with its line."""

import json

import pytest

from motet.errors import TableError
from motet.lab.retrieval.data import read_pairs

GOOD = [{"domain": "law", "question": f"q{n}", "document": f"d{n}"} for n in range(8)]


def written(path, rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_pairs_are_read(tmp_path):
    pairs = read_pairs(written(tmp_path / "q.jsonl", [*GOOD, ""]))
    assert len(pairs) == 8 and pairs[3].document == "d3"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*GOOD, "{"], r"q.jsonl:9: not valid JSON"),
        ([*GOOD, {"domain": "law", "question": " ", "document": "d"}], r"q.jsonl:9: 'question'"),
        ([*GOOD, [1]], r"q.jsonl:9: 'domain' must be a text"),
        (GOOD[:3], "the domain 'law' has 3 questions, and 8 are needed"),
        ([], "there are no questions"),
    ],
)
def test_faults_are_named(tmp_path, rows, said):
    with pytest.raises(TableError, match=said):
        read_pairs(written(tmp_path / "q.jsonl", rows))
    with pytest.raises(TableError, match="cannot be read"):
        read_pairs(tmp_path / "absent.jsonl")
