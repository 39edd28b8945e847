"""The forms of an embedding's input, and the object that is answered."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import RequestError
from motet.protocol.embeddings import MOST_INPUTS, MOST_ROUTED, EmbeddingBody
from motet.types import Chunk, Usage
from motet.whole import joined

TEXT = st.text(min_size=1, max_size=8)
IDS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4)


def body(**fields):
    return EmbeddingBody.read(json.dumps({"model": "m", **fields}).encode())


@given(TEXT | IDS | st.lists(TEXT | IDS, min_size=1, max_size=4))
def test_every_form_of_input_is_read(said):
    (request,) = body(input=said).requests()
    alone = isinstance(said, str) or all(isinstance(each, int) for each in said)
    expected = [said] if alone else said
    assert [
        each if isinstance(each, str) else list(each) for each in request.texts.inputs
    ] == expected
    assert request.estimated_tokens > 0 and not request.needs


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": []}, "input: there must be at least one text"),
        ({"input": ["a", ""]}, r"input\[1\]: a text must not be empty"),
        ({"input": ["a", 1.5]}, r"input\[1\]: must be text, token ids"),
        ({"input": [True]}, r"input\[0\]: must be text"),
        ({"input": ["a"] * (MOST_INPUTS + 1)}, "at most 2048 texts .* Got 2049"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format: .* Got 'int8'"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "input_type": "passage"}, "input_type"),
        ({"input": "a", "stream": True}, "stream"),
        ({}, "input"),
    ],
)
def test_faults_are_named(fields, said):
    with pytest.raises(RequestError, match=said):
        body(**fields)


def test_a_router_decides_on_each_text():
    requests = body(input=["a", "b"], dimensions=3, input_type="query").requests(routed=True)
    assert [request.texts.inputs for request in requests] == [("a",), ("b",)]
    assert {request.texts.dimensions for request in requests} == {3}
    with pytest.raises(RequestError, match="up to 64 texts"):
        body(input=["a"] * (MOST_ROUTED + 1)).requests(routed=True)


@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2), min_size=1, max_size=4))  # fmt: skip
def test_base64_holds_the_numbers(vectors):
    whole = joined(
        [Chunk(values=tuple(np.array(v, np.float32) for v in vectors)), Chunk(usage=Usage(3))]
    )
    said = {
        form: json.loads(body(input="a", encoding_format=form).framer().whole(whole, "m", Usage(3), None))
        for form in ("float", "base64")
    }  # fmt: skip
    packed = [
        np.frombuffer(base64.b64decode(e["embedding"]), "<f4") for e in said["base64"]["data"]
    ]
    np.testing.assert_array_equal(
        np.stack(packed), np.array([e["embedding"] for e in said["float"]["data"]], "<f4")
    )
    assert said["float"]["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [e["index"] for e in said["float"]["data"]] == list(range(len(vectors)))
