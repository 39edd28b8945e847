"""The language of a conversation, where its newest message is too short to tell."""

import pytest
from tests.conditions.asks import ask

from motet.conditions.language import UNTOLD, language
from motet.types import Request

ENGLISH = ("Which sea is the warmest?", "The Red Sea is the warmest sea on earth.")
FRENCH = ("Quelle mer est la plus chaude ?", "La mer Rouge est la mer la plus chaude du globe.")
GERMAN = ("Welches Meer ist am wärmsten?", "Das Rote Meer ist das wärmste Meer der Erde.")


def chat(*texts, system=None):
    roles = ["user", "assistant"] * len(texts)
    said = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    if system is not None:
        said.insert(0, {"role": "system", "content": system})
    return Request(model="m", messages=tuple(said))


SHORT = (
    "Why so?",
    "ok",
    "thx",
    "Go on",
    "Make it funnier.",
    "yes please",
    "More!",
    "hm",
    "👍",
    "no",
)


@pytest.mark.parametrize("said", SHORT)
@pytest.mark.parametrize(("before", "code"), [(ENGLISH, "en"), (FRENCH, "fr"), (GERMAN, "de")])
def test_a_short_follow_up_inherits_the_language(said, before, code):
    assert language(chat(*before, said)) == code


@pytest.mark.parametrize("before", [ENGLISH, GERMAN])
def test_a_message_that_tells_is_believed(before):
    assert language(chat(*before, "Et laquelle est la plus froide de toutes ?")) == "fr"


def test_the_user_counts_before_the_others():
    assert language(chat("How do I say thanks?", "Grazie mille, molto gentile!", "ok")) == "en"


def test_who_says_nothing_is_taken_by_the_rest():
    assert language(chat("ok", system="Antworte immer kurz, freundlich und wahr.")) == "de"


@pytest.mark.parametrize("said", ["???", "", "42", "🙂", "7 x 9"])
def test_what_tells_nothing_is_taken_for_english(said):
    assert language(ask(said)) == language(Request(model="m", prompt=said)) == UNTOLD
    assert language(Request(model="m")) == UNTOLD


def test_of_a_long_conversation_only_the_end_is_read():
    long = chat(*GERMAN, *["ok", "ok"] * 500, "ok")
    assert language(long) == UNTOLD
    assert language(ask("Wer weiß das schon so genau? " * 200_000)) == "de"
