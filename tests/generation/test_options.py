"""How a request is sampled: by its own fields, else the options, within what fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import ContextLengthExceeded
from motet.generation.options import GenerationOptions
from motet.types import Request


def ask(**fields):
    return Request(model="tiny", prompt="x", **fields)


@given(st.integers(1, 50), st.none() | st.integers(1, 50), st.none() | st.integers(1, 60))
def test_answers_fit_behind_their_prompt(prompt, asked, limit):
    options, request = GenerationOptions(max_tokens=20), ask(max_tokens=asked)
    wanted = prompt + (asked or 1)
    if limit is not None and wanted > limit:
        with pytest.raises(ContextLengthExceeded) as error:
            options.sampling(request, prompt, limit, "tiny")
        assert (error.value.limit, error.value.wanted) == (limit, wanted)
        return
    bound = options.sampling(request, prompt, limit, "tiny").max_tokens
    assert bound == (asked or (20 if limit is None else min(20, limit - prompt)))


def test_a_request_has_the_last_word():
    options = GenerationOptions(temperature=0.5, top_p=0.9)
    by_options = options.sampling(ask(), 1, None, "tiny")
    assert (by_options.temperature, by_options.top_p) == (0.5, 0.9)
    by_request = options.sampling(ask(temperature=0.0, top_p=0.1, seed=3), 1, None, "tiny")
    assert (by_request.temperature, by_request.top_p, by_request.seed) == (0.0, 0.1, 3)


def test_stop_strings_of_the_options_are_for_chats():
    options = GenerationOptions(stop=("Q:",))
    chat = Request(model="tiny", messages=({"role": "user", "content": "x"},), stop=("end",))
    assert options.sampling(chat, 1, None, "tiny").stop == ("end", "Q:")
    assert options.sampling(ask(stop=("end",)), 1, None, "tiny").stop == ("end",)
