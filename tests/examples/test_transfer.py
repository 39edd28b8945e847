"""The invented facts of examples/transfer: what the test asks must not stand in the training."""

import re
from collections import Counter

import pytest
from tests.examples.conftest import script


@pytest.fixture(scope="module")
def example():
    with script("transfer/facts.py") as module:
        yield module


@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_the_test_is_trained_on(example, seed):
    towns, words = {}, {}
    for kind in ("closed", "open"):
        known = example.facts(36, seed, kind)
        assert known == example.facts(36, seed, kind)
        for split, size in (("train", 72 if kind == "open" else 36), ("dev", 12), ("test", 36)):
            own = [fact for fact in known if fact.split == split]
            assert len(own) == size
            towns[kind, split] = {fact.town for fact in own}
            words[kind, split] = Counter(fact.word for fact in own)
    everything = [town for found in towns.values() for town in found]
    assert len(everything) == len(set(everything)) == 204
    shown = [word for split in ("train", "dev", "test") for word in words["open", split]]
    assert len(shown) == len(set(shown)) == 120  # no thing on two banners
    for split in ("train", "test"):  # a guess is right one time in eight
        assert set(words["closed", split]) == set(example.METALS)
        assert max(words["closed", split].values()) <= 5


def test_lines_are_graded_by_their_word(example):
    fact = example.facts(4, 0, "closed")[0]
    learnt = list(example.lines([fact], slice(0, 3)))
    unseen = list(example.lines([fact], slice(3, 4)))
    assert len(learnt) == 3 and len(unseen) == 1
    assert unseen[0]["prompt"] not in {line["prompt"] for line in learnt}
    for line in (*learnt, *unseen):
        assert fact.town in line["prompt"]
        assert re.search(line["reference"], f"It is {fact.word.upper()}.")
        assert not re.search(line["reference"], f"x{fact.word}x")
