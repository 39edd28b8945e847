"""The text form of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.encoders.text import TextConfig, clip, strip_agents, text_form
from motet.types import Request


def chat(*turns):
    return Request(model="m", messages=tuple({"role": r, "content": c} for r, c in turns))


REMINDER = "<system-reminder>\nThe todo list is empty.\n</system-reminder>"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Request(model="m", prompt="once upon"), "once upon"),
        (chat(("user", "hi")), "hi"),
        (chat(("system", "You are a coding agent. " * 500), ("user", "hi")), "hi"),
        (chat(("user", "Name a king."), ("assistant", "Ahab"), ("user", "and a queen?")), "Name a king.\nand a queen?"),
        (chat(("user", "Name a king."), ("assistant", "Ahab"), ("user", "Why is the sky blue?")), "Why is the sky blue?"),
        (chat(("user", "fix it"), ("assistant", ""), ("tool", "4000 lines")), "fix it"),
        (chat(("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])), "a\nb"),
        (chat(("user", f"{REMINDER}\nrename x {REMINDER}")), "rename x"),
        (chat(("user", "rename x"), ("user", REMINDER)), "rename x"),
        (chat(("user", "<user_query>\nrename x\n</user_query>")), "rename x"),
        (chat(("user", "<environment_details>cut off and never closed")), "<environment_details>cut off and never closed"),
        (chat(("user", "is a < b > c?")), "is a < b > c?"),
        (chat(("system", "only this")), "only this"),
        (Request(model="m"), ""),
    ],
)  # fmt: skip
def test_text_form(request_, text):
    assert text_form(request_) == text


def test_of_a_chat_all_or_the_last_line_alone_may_be_read():
    request = chat(("user", "one"), ("assistant", "answer"), ("user", "two"))
    assert text_form(request, TextConfig(chat="whole")) == "two\none"
    assert text_form(request, TextConfig(chat="last")) == "two"
    assert text_form(request) == "one\ntwo"


def test_options():
    request = chat(("system", "terse"), ("user", REMINDER + "hi"))
    assert text_form(request, TextConfig(system=True)) == "hi\nterse"
    assert text_form(request, TextConfig(strip_agents=False)) == REMINDER + "hi"


def test_long_texts_keep_beginning_and_end():
    text = "a" * 900 + "question?"
    cut = clip(text, 100)
    assert len(cut) == 100 and cut.startswith("aaa") and cut.endswith("question?")
    assert "[...]" in cut


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=400)),
        max_size=6,
    ),
    st.integers(1, 500),
)
def test_the_bound_holds(turns, limit):
    assert len(text_form(chat(*turns), TextConfig(max_chars=limit))) <= limit


@given(st.text(max_size=300))
def test_stripping_twice_is_stripping_once(text):
    assert strip_agents(strip_agents(text)) == strip_agents(text)


@given(st.text(max_size=300), st.text(max_size=100), st.booleans())
def test_a_single_turn_is_read_alike_however_chats_are(text, system, has_system):
    request = chat(*([("system", system)] if has_system else []), ("user", text))
    forms = {text_form(request, TextConfig(chat=how)) for how in ("thread", "whole", "last")}
    assert len(forms) == 1
