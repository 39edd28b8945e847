"""Byte ends: how far into the text that all members share each token has read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fusion.world import ask

from motet.errors import ConfigError, ExpertRejected
from motet.fusion.text import check_offsets, read_request
from motet.types import Request


def test_half_a_character_shows_nothing_of_the_whole(world):
    fox = world.members[1].encode(ask("a🦊b"))
    assert fox.ends.tolist()[-1] == fox.asks.tolist()[-1] == 6
    inside = [
        (end, asked)
        for end, asked in zip(fox.ends.tolist(), fox.asks.tolist(), strict=True)
        if end == 5
    ]
    assert len(inside) > 1  # the fox is several tokens
    assert [asked for _, asked in inside] == [1] * (len(inside) - 1) + [5]


@settings(max_examples=60)
@given(text=st.text(min_size=1, max_size=30))
def test_byte_ends_count_the_shared_text(world, text):
    size = len(text.encode("utf-8", "surrogatepass"))
    for member in world.members:
        reading = read_request(member.tokenizer, None, ask(text), member.id)
        assert reading.size == size
        assert (reading.ends.diff() >= 0).all() and (reading.asks.diff() >= 0).all()
        assert (reading.asks <= reading.ends).all()


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(ConfigError, match="Member 'old'.*Slow.*offsets"):
        check_offsets(Slow(), "old")


def test_words_of_a_template_are_no_text_of_the_request(world):
    chat = Request(model="", messages=({"role": "user", "content": "naïve"},))
    for member in world.members:
        reading = read_request(member.tokenizer, None, chat, member.id)
        assert reading.size == len("naïve".encode())
        assert reading.ends[0] == 0 and len(reading.tokens) > reading.size
    with pytest.raises(ExpertRejected, match="changes the text"):
        read_request(world.members[0].tokenizer, "{{ messages[0].content | upper }}", chat, "ann")
    with pytest.raises(ExpertRejected, match="empty"):
        read_request(world.members[0].tokenizer, None, ask(""), "ann")
