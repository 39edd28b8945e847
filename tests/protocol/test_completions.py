"""Text completions: the request that a body means, and the objects of an answer."""

import json

import pytest

from motet.errors import RequestError
from motet.protocol.completions import CompletionBody
from motet.types import Chunk, Usage
from motet.whole import joined


@pytest.mark.parametrize("prompt", ["hi", ["hi"]])
def test_one_prompt_alone_or_in_a_list(prompt):
    request = CompletionBody.of({"model": "m", "prompt": prompt, "logprobs": 3}).request()
    assert (request.prompt, request.messages, request.top_logprobs) == ("hi", (), 3)


def test_an_answer_is_text_and_no_message():
    framer = CompletionBody.of({"model": "m", "prompt": "hi"}).framer("cmpl-1", 7)
    piece = json.loads(framer.piece(Chunk(text="a"), "x").removeprefix(b"data: "))
    assert piece["object"] == "text_completion" and piece["id"] == "cmpl-1"
    assert piece["choices"] == [{"index": 0, "text": "a", "logprobs": None, "finish_reason": None}]
    whole = json.loads(framer.whole(joined([Chunk(text="ab")]), "x", Usage(1, 2), None))
    assert whole["choices"] == [
        {"index": 0, "text": "ab", "logprobs": None, "finish_reason": "stop"}
    ]
    assert "motet" not in whole


def test_new_ids_are_of_completions():
    framer = CompletionBody.of({"model": "m", "prompt": "hi"}).framer()
    piece = json.loads(framer.piece(Chunk(text="a"), "x").removeprefix(b"data: "))
    assert piece["id"].startswith("cmpl-")


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ([1, 2], [("", (1, 2))]), ([[1, 2], [3]], [("", (1, 2)), ("", (3,))]),
        (["a", "b"], [("a", ()), ("b", ())]), (["a", [7]], [("a", ()), ("", (7,))]),
    ],
)  # fmt: skip
def test_prompts_come_in_four_forms(prompt, meant):
    body = CompletionBody.of({"model": "m", "prompt": prompt})
    assert [(r.prompt, r.prompt_ids) for r in body.requests()] == meant
    if len(meant) > 1:
        with pytest.raises(RequestError, match="one prompt is expected"):
            body.request()


@pytest.mark.parametrize("prompt", [None, 7, [], {}, [None], [[]], [True], [-1], [1.5], ["a"] * 65])
def test_what_is_no_prompt_is_refused(prompt):
    with pytest.raises(RequestError, match="prompt") as caught:
        CompletionBody.of({"model": "m", "prompt": prompt})
    assert caught.value.param == "prompt"


def test_best_of_is_bounded_and_goes_on():
    body = {"model": "m", "prompt": "a", "best_of": 3, "max_completion_tokens": 9}
    request = CompletionBody.of(body).request()
    assert request.extra == {"best_of": 3} and request.max_tokens == 9
    with pytest.raises(RequestError, match="best_of"):
        CompletionBody.of({**body, "best_of": 65})
