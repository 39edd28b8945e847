"""The generated texts of moderation: the held-out writer shares nothing with the others."""

import itertools

import pytest
from tests.examples.conftest import script


@pytest.fixture(scope="module")
def texts():
    with script("moderation/texts.py") as module:
        yield module


def test_the_held_out_writer_is_read_by_nobody(texts):
    others = [writer for writer in texts.WRITERS if writer != texts.HELD_OUT]
    for phrases in [*texts.ACTS.values(), texts.HARMLESS]:
        assert len(set(phrases)) == len(phrases)
        own = set(texts.known(texts.HELD_OUT, phrases, 0))
        assert own and not any(own & set(texts.known(writer, phrases, 0)) for writer in others)
    templates = [set(texts._TEMPLATES[writer]) for writer in texts.WRITERS]
    assert not any(a & b for a, b in itertools.combinations(templates, 2))


def test_texts_are_the_same_each_time(texts):
    made = texts.texts("asks", 5)
    assert made == texts.texts("asks", 5) != texts.texts("asks", 5, draw=1)
    assert len(made) == 5 * (len(texts.ACTS) + 3)
    assert sum(not of for _, of in made) == 15
