"""An encoder behind a URL, against a scripted host in the place of the HTTP client."""

import base64
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hosting import Played, unreachable

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ExpertError, ExpertRejected, ExpertUnavailable, MotetError
from motet.experts.openai_embeddings import OpenAIEncoder, _vectors
from motet.transport.retry import Retry
from motet.types import Request, Task, Texts

_HOSTS = itertools.count()


def answer(*vectors, usage=7, packed=False, order=None):
    data = [
        {
            "object": "embedding",
            "index": number,
            "embedding": base64.b64encode(np.array(v, "<f4").tobytes()).decode() if packed else v,
        }
        for number, v in enumerate(vectors)
    ]
    data = [data[at] for at in order] if order else data
    return 200, {"object": "list", "data": data, "usage": {"prompt_tokens": usage}}


async def encoder(*answers):
    host = Played(*answers)
    url = f"http://vectors{next(_HOSTS)}/v1"
    text = (
        "version: 1\nexperts: [{id: echo, engine: fake}]\n"
        f"encoders: [{{id: far, engine: openai-embeddings, url: '{url}', model: m}}]"
    )

    def make(entry, options, setting):
        if entry.id == "echo":
            return None
        retry = Retry(options.retries + 1, first_s=0.001, longest_s=0.002)
        return OpenAIEncoder(entry, options, setting, connect=lambda _: host, retry=retry)

    made = assemble(parse(text), make).experts["far"]
    await made.start()
    return made, host


async def embed(expert, *inputs, **fields):
    request = Request(model="far", texts=Texts(task=Task.EMBED, inputs=inputs, **fields), user="u")
    first, last = [chunk async for chunk in expert.stream(request)]
    return [list(vector) for vector in first.values], last.usage


@pytest.mark.parametrize("packed", [False, True])
async def test_vectors_in_the_order_of_the_texts(packed):
    expert, host = await encoder(answer([1.0, 2.0], [3.0, 4.0], packed=packed, order=[1, 0]))
    vectors, usage = await embed(expert, "a", (5, 6), dimensions=2, role="query")
    assert vectors == [[1, 2], [3, 4]] and usage.prompt_tokens == 7
    assert host.requests[0].url.endswith("/v1/embeddings")
    assert host.body() == {
        "model": "m", "input": ["a", [5, 6]], "encoding_format": "base64", "dimensions": 2,
        "input_type": "query", "user": "u",
    }  # fmt: skip


async def test_a_failure_that_may_pass_is_tried_again():
    expert, host = await encoder((503, b"busy"), unreachable(), answer([1.0]))
    assert (await embed(expert, "a"))[0] == [[1]] and len(host.requests) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ((400, {"error": {"message": "no such dimensions"}}), ExpertRejected),
        (unreachable(), ExpertUnavailable),
        ((200, b"<html>"), ExpertError),
        ((200, {"data": [{"index": 1, "embedding": [1.0]}]}), ExpertError),
        ((200, {"data": [{"index": 0, "embedding": "@@"}]}), ExpertError),
        ((200, {"data": [{"index": 0, "embedding": [None]}]}), ExpertError),
        ((200, {"error": {"message": "quota", "code": 429}}), MotetError),
        (answer([1.0], [2.0]), ExpertError),
        (answer(), ExpertError),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_encoder(said, error):
    expert, _ = await encoder(said)
    with pytest.raises(error, match="far"):
        await embed(expert, "a")


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4), max_size=4), st.booleans())  # fmt: skip
def test_base64_and_numbers_say_the_same(vectors, packed):
    data = answer(*vectors, packed=packed)[1]["data"]
    assert [list(vector) for vector in _vectors(data, "far")] == vectors
