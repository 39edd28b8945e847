"""Text completions: the request that a body means, and the objects of an answer."""

import json

import pytest

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
