"""Training and judging classifiers on texts of a small world."""

import json

import numpy as np
import pytest
from tests.routers.learned import world

from motet.errors import TableError
from motet.lab.moderation.train import Sample, judge, read_samples, train

SAID = {"rude": "you stupid idiot fool", "law": "contract court clause", "": "bread water stone"}


def samples(count=40, seed=0):
    random = np.random.default_rng(seed)
    return [
        Sample(" ".join(random.choice(words.split(), 3)), frozenset({category} - {""}))
        for _ in range(count)
        for category, words in SAID.items()
    ]


@pytest.mark.parametrize("reads", ["words", "letters", "meaning"])
def test_it_tells_what_it_was_not_trained_on(reads):
    encoder = world.ENCODER if reads == "meaning" else None
    made = train(samples(), reads, encoder=encoder, buckets=512)
    told = judge(made, samples(seed=1), encoder)
    assert made.categories == ("law", "rude") and made.reads == reads
    assert told["accuracy"] > 0.95 and told["categories"] > 0.95
    again = train(samples(), reads, encoder=encoder, buckets=512)
    np.testing.assert_array_equal(again.weights, made.weights)


def test_too_few_texts_are_refused():
    with pytest.raises(TableError, match="2 texts are of 'rude'"):
        train([*samples(20)[::3][:0], *(s for s in samples() if "rude" not in s.categories), *[Sample("you", frozenset({"rude"}))] * 2], "words")  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", ":1: not valid JSON"),
        ({"text": "", "categories": []}, ":1: 'text' must be a text"),
        ({"text": "a", "categories": "hate"}, ":1: 'categories' must be a list"),
        ([], ":1: 'text' must be a text"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path, row, said):
    path = tmp_path / "t.jsonl"
    path.write_text(row if isinstance(row, str) else json.dumps(row))
    with pytest.raises(TableError, match=said):
        read_samples(path)
    path.write_text('{"text": "a", "categories": ["hate"]}\n')
    assert read_samples(path) == [Sample("a", frozenset({"hate"}))]
