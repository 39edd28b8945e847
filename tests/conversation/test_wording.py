"""What a turn says by itself, of its words alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.conversation.wording import Wording, content, returns, wording

PARTS = [
    "and for five boxes?", "same in Python", "make it shorter", "in feet?", "what about Lima?",
    "when?", "Sort by the count, descending.", "now the average height per ward", "yes please",
    "Are you sure?", "the dash should be optional", "explain that", "colour as well", "why not?",
    "show me how", "can you check the result please?",
    "And this one: On 9 June, Ana Silva travels from Oslo to Rome.", "or 5", "???",
]  # fmt: skip
WHOLE = [
    "Who painted the Mona Lisa?", "How many metres are 3 kilometres?", "Why is the sky blue?",
    "In which year did the Second World War end?", "And how many legs does a spider have?",
    "What is the capital of France?", "When will the next train to Vienna leave?",
    "Summarize this text: The cat sat on the mat and slept.", "Also, who wrote Hamlet?",
]  # fmt: skip
EITHER = [
    "Write a regular expression that matches 3 digits.", "Please write a poem about autumn.",
    "optional plus sign at the beginning", "Now tell me a joke", "Convert 10 inches to feet",
    "Quelle heure est-il ?", "I need a regex that matches 3 digits.",
]  # fmt: skip
KIND = ["thanks!", "Thank you very much, that helped a lot.", "hello", "ok great", "Good morning!",
        "how are you?", "merci", "perfect thanks"]  # fmt: skip


@pytest.mark.parametrize("text", PARTS)
def test_a_part_of_a_question_goes_on_with_something(text):
    assert wording(text) is Wording.PART


@pytest.mark.parametrize("text", WHOLE)
def test_a_whole_question_speaks_for_itself(text):
    assert wording(text) is Wording.WHOLE


@pytest.mark.parametrize("text", EITHER)
def test_a_few_words_may_be_either(text):
    assert wording(text) is Wording.LIKELY


@pytest.mark.parametrize("text", KIND)
def test_a_kind_word_asks_nothing(text):
    assert wording(text) is Wording.PLEASANTRY


def test_a_remark_asks_nothing_either():
    assert wording("I am a bit tired today") is Wording.REMARK
    assert wording("I need to know when the train leaves, can you tell me?") is Wording.WHOLE


def test_what_goes_back_says_so():
    assert returns("Back to the regex: also allow dots") and not returns("also allow dots")


def test_content_is_what_a_text_is_about():
    assert content("How many of the orders are there in Rome?") == {"order", "rome"}


@given(st.text(max_size=300))
def test_any_text_is_worded_somehow(text):
    assert wording(text) in Wording and wording(text) is wording(text)
    assert isinstance(content(text), frozenset)
