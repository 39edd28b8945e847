"""What is asked and answered at `/v1/moderations`, and what a label says."""

import json

import pytest
from openai.types import ModerationCreateResponse

from motet.errors import RequestError
from motet.protocol.moderations import MOST_INPUTS, LabelBody, ModerationBody
from motet.types import Chunk, Usage, Verdict
from motet.whole import joined


def body(**fields):
    return ModerationBody.read(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("said", "texts"),
    [
        ("a", ("a",)),
        (["a", ""], ("a", "")),
        ([{"type": "text", "text": "a"}], ("a",)),
    ],
)
def test_every_form_of_input_is_read(said, texts):
    request = body(input=said).request("guard")
    assert request.texts.inputs == texts and request.id.startswith("modr-")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"input": []}, "at least one text"),
        ({"input": ["a"] * (MOST_INPUTS + 1)}, "at most 64"),
        ({"input": [3]}, r"input\[0\]: must be text. Got 3"),
        ({"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, "no images"),
        ({"input": "a", "models": "x"}, "models"),
    ],
)
def test_faults_are_named(fields, said):
    with pytest.raises(RequestError, match=said):
        body(**fields)


def test_the_answer_is_openais():
    asked = body(input=["a", "b"])
    request = asked.request("guard")
    verdicts = (Verdict({"hate": 0.7, "spam": 0.1}, 0.6), Verdict({"hate": 0.2, "spam": 0.1}, 0.6))
    whole = asked.framer().whole(joined([Chunk(values=verdicts)]), "member", Usage(), None)
    said = json.loads(whole)
    ModerationCreateResponse.model_validate(said)
    assert said["id"] == request.id and said["model"] == "guard"
    first, second = said["results"]
    assert first["flagged"] and not second["flagged"]
    assert first["categories"]["hate"] and not first["categories"]["spam"]
    assert first["category_scores"]["hate"] == 0.7 and first["category_scores"]["sexual"] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a label says what is so"),
        ({"categories": {}}, "a label says what is so"),
        ({"flagged": True}, "does not say which category"),
        ({"flagged": False, "categories": {"hate": True}}, "cannot both be so"),
        ({"index": 64, "flagged": False}, "index"),
    ],
)
def test_a_label_that_says_nothing_is_refused(fields, said):
    with pytest.raises(RequestError, match=said):
        LabelBody.read(json.dumps({"id": "modr-1", **fields}).encode())
