"""Moderations over HTTP: ensembles, labels that are kept, and screens before and after answers."""

import json
from dataclasses import replace
from pathlib import Path

import httpx
import openai
import pytest
from tests.api.events import events
from tests.conftest import running, wait_for

from motet.config import Store, parse

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake}
  - {id: rude, engine: fake, tokens: ["good day ", "and then ", "more words ", "you ", "fool", "!"]}
  - {id: judge, engine: fake, tokens: ['{"harassment": 0.8, "hate": true}']}
  - {id: dumb, engine: fake, tokens: ["I cannot say."]}
classifiers:
  - {id: words, engine: fake-classifier, words: {fool: harassment, stab: violence}}
  - {id: blind, engine: fake-classifier, words: {}}
  - {id: broken, engine: fake-classifier, fail_after: 0}
  - {id: slow, engine: fake-classifier, delay_s: 30}
moderations:
  guard: {members: [words, blind, broken], horizon: 8}
  strict: {members: [words]}
  experts: {members: [judge, dumb, words]}
  dead: {members: [broken]}
  stuck: {members: [slow]}
routers:
  echo: {kind: constant, expert: echo}
  rude: {kind: constant, expert: rude}
compositions:
  before: {router: echo, screen: {before: strict}}
  after: {router: rude, screen: {after: strict}}
  flows: {router: rude, screen: {after: words, hold: window, window: 50}}
  lost: {router: echo, screen: {before: dead}}
  waits: {router: echo, screen: {before: stuck}}
"""
FIELDS = {"violence": True}


@pytest.fixture(scope="module")
def service():
    with running(FLEET) as found:
        yield found


def judged(service, input="you fool", model="guard", **fields):
    return service.post("/v1/moderations", {"input": input, "model": model, **fields})


def label(service, id, **fields):
    return service.post("/v1/moderations/labels", {"id": id, **fields})


def test_official_client(client):
    said = client.moderations.create(input=["you fool", "good day"], model="strict")
    assert [each.flagged for each in said.results] == [True, False]
    assert (
        said.results[0].categories.harassment and said.results[0].category_scores.harassment == 0.9
    )
    assert said.id.startswith("modr-") and said.model == "strict"
    default = client.moderations.create(input="good day", model="omni-moderation-latest")
    assert default.model == "guard"
    with pytest.raises(openai.NotFoundError, match="Did you mean 'strict'"):
        client.moderations.create(input="a", model="strikt")


def test_a_member_that_fails_is_left_out_and_all_that_fail_are_an_error(service):
    said = judged(service, motet={"explain": True}).json()
    assert said["results"][0]["category_scores"]["harassment"] == pytest.approx(0.45)
    failed = {each["expert"]: each["error"] for each in said["motet"]["experts"]}
    assert failed["broken"] and not failed["words"]
    assert judged(service, model="dead").status_code == 502


def test_experts_judge_in_words(service):
    said = judged(service, "good day", "experts", motet={"explain": True}).json()
    scores = said["results"][0]["category_scores"]
    # Of three even members one says nothing that can be read.
    assert scores["harassment"] == pytest.approx((0.8 + 0.1) / 2)
    assert scores["hate"] == pytest.approx(0.5)
    assert {each["expert"] for each in said["motet"]["experts"]} == {"judge", "dumb", "words"}


def test_a_classifier_is_asked_by_its_own_name(service):
    said = judged(service, "stab", "words").json()
    assert said["results"][0]["categories"]["violence"] and said["model"] == "words"
    kinds = {e["id"]: e["motet"]["kind"] for e in service.get("/v1/models").json()["data"]}
    assert (kinds["words"], kinds["guard"], kinds["before"]) == (
        "classifier",
        "moderation",
        "composition",
    )
    assert "asked at /v1/moderations" in service.chat("a", model="guard").text
    assert "asked at /v1/chat/completions" in judged(service, model="before").text


def test_a_service_without_judges_says_so():
    with running("version: 1\nexperts: [{id: echo, engine: fake}]") as service:
        answer = service.post("/v1/moderations", {"input": "a"})
        assert answer.status_code == 400 and "judges no texts" in answer.text


def test_labels_move_the_weights_within_the_bound(service):
    for _ in range(4):
        id = judged(service, ["you fool", "good day"]).json()["id"]
        first = label(service, id, categories={"harassment": True})
        assert first.status_code == 200, first.text
        told = label(service, id, index=1, flagged=False).json()
    assert told["labels"] == 8 and told["moderation"] == "guard"
    assert told["weights"]["words"] > told["weights"]["blind"] and told["best"] == "words"
    assert 0 <= told["regret"] <= told["bound"] == pytest.approx((8 * 1.0986 / 2) ** 0.5, abs=1e-3)
    again = label(service, id, flagged=False)
    assert again.status_code == 400 and "has a label already" in again.text


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"id": "modr-none", "flagged": False}, 404, "No such moderation"),
        ({"categories": {"harasment": True}}, 400, "Did you mean 'harassment'"),
        ({"flagged": True}, 400, "does not say which category"),
        ({"index": 5, "flagged": False}, 404, "No such moderation"),
    ],
)
def test_labels_that_are_wrong_are_named(service, fields, status, said):
    id = judged(service).json()["id"]
    answer = label(service, fields.pop("id", id), **fields)
    assert answer.status_code == status and said in answer.text


def test_what_was_learned_survives_a_restart(tmp_path):
    document = parse(FLEET, folder=Path.cwd())
    document = replace(document)
    config = parse(FLEET).config
    document.config = config.model_copy(update={"store": Store(path=tmp_path / "kept.db")})
    with running(document) as service:
        id = judged(service, "stab").json()["id"]
        told = label(service, id, categories={"violence": True}).json()
    with running(document) as service:
        kept = service.motet.parts.ensembles
        wait_for(lambda: kept.hedge("guard").labels == 1)
        assert kept.hedge("guard").weights == told["weights"]


def test_labels_need_a_scope():
    keys = "keys: [{name: ann, key: key-of-ann, scopes: [chat]}, {name: bo, key: key-of-bo, scopes: [feedback]}]"
    with running(FLEET + keys) as service:
        heads = [{"authorization": f"Bearer key-of-{name}"} for name in ("ann", "bo")]
        body = {"id": "modr-x", "flagged": False}
        said = [service.post("/v1/moderations/labels", body, headers=h).status_code for h in heads]
        assert said == [403, 404]


# Screens


def test_a_flagged_prompt_is_refused_before_anybody_is_asked(service):
    refused = service.chat("stab", model="before")
    assert refused.status_code == 400
    assert refused.json()["error"] == {
        "message": "The prompt is refused: 'strict' flags it as violence. Put it in other words.",
        "type": "invalid_request_error", "param": None, "code": "content_filter",
    }  # fmt: skip
    answer = service.chat("good day", model="before", motet={"explain": True})
    calls = [(e["expert"], e["purpose"]) for e in answer.json()["motet"]["experts"]]
    assert calls == [("words", "screen"), ("echo", "answer")]
    assert answer.headers["x-motet-experts"] == "echo"
    assert 'status="content_filter"' in service.get("/metrics").text


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_every_message_is_judged_at_any_length(service, role):
    hidden = "word " * 3000 + "stab" + " word" * 3000
    messages = [
        {"role": "user", "content": "hi"},
        {"role": role, "content": hidden, **({"tool_call_id": "t"} if role == "tool" else {})},
        {"role": "user", "content": "go on"},
    ]
    answer = service.post("/v1/chat/completions", {"model": "before", "messages": messages})
    assert answer.json()["error"]["code"] == "content_filter"


@pytest.mark.parametrize("stream", [False, True])
def test_a_flagged_answer_is_withheld(service, stream):
    answer = service.chat("x", model="after", stream=stream)
    assert answer.status_code == 400 and "fool" not in answer.text
    assert answer.json()["error"]["code"] == "content_filter"
    assert "The answer is withheld: 'strict' flags it as harassment" in answer.text


def test_a_clean_answer_comes_whole(service):
    config = FLEET.replace("fool", "friend")
    with running(config.replace("words: {friend", "words: {fool")) as clean:
        for model in ("after", "flows"):
            seen = events(clean.chat("x", model=model, stream=True))
            said = "".join(
                e["choices"][0]["delta"].get("content") or "" for e in seen if e["choices"]
            )
            assert said == "good day and then more words you friend!"


def test_a_window_lets_a_stream_flow_until_it_is_flagged(service):
    long = FLEET.replace('"good day ",', '"' + "fine words. " * 8 + '",')
    with running(long) as flowing:
        answer = flowing.chat("x", model="flows", stream=True)
        assert answer.status_code == 200 and "fine words" in answer.text
        assert "fool" not in answer.text and "content_filter" in answer.text


def test_a_screen_that_fails_lets_nothing_through(service):
    answer = service.chat("good day", model="lost")
    assert answer.status_code == 502 and "broken" in answer.text


def test_a_client_that_leaves_stops_the_screen(service):
    slow = service.motet.parts.experts["slow"]
    body = {"model": "waits", "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/v1/chat/completions", json=body, timeout=0.3)
    wait_for(lambda: slow.open == 0)


def test_batches_refuse_what_is_screened(service):
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "before", "messages": [{"role": "user", "content": "x"}]}}  # fmt: skip
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none") as client:
        file = client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        wait_for(lambda: client.batches.retrieve(batch.id).status in ("completed", "failed"))
        done = client.batches.retrieve(batch.id)
        errors = client.files.content(done.error_file_id).text
    assert "is screened, which batches do not do" in errors


def test_a_screen_holds_for_a_member_of_another_composition():
    nested = FLEET.replace(
        "compositions:",
        "compositions:\n  around: {router: asks_it}\n  shows: {router: shows_it}",
        1,
    ).replace(
        "routers:",
        "routers:\n  asks_it: {kind: constant, expert: before}\n"
        "  shows_it: {kind: constant, expert: after}",
        1,
    )
    with running(nested) as service:
        assert service.chat("good day", model="around").status_code == 200
        refused = service.chat("stab", model="around")
        assert refused.json()["error"]["code"] == "content_filter"
        for stream in (False, True):
            withheld = service.chat("x", model="shows", stream=stream)
            assert "fool" not in withheld.text and "content_filter" in withheld.text
        line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions",
                "body": {"model": "around", "messages": [{"role": "user", "content": "x"}]}}  # fmt: skip
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none") as client:
            file = client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
            batch = client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            wait_for(lambda: client.batches.retrieve(batch.id).status in ("completed", "failed"))
            done = client.batches.retrieve(batch.id)
            assert "is screened" in client.files.content(done.error_file_id).text


def test_who_judges_by_default_is_one_that_the_caller_may_ask():
    keys = "keys: [{name: ann, key: key-of-ann, models: [strict]}]"
    with running(FLEET + keys) as service:
        head = {"authorization": "Bearer key-of-ann"}
        for model in ({}, {"model": "omni-moderation-latest"}):
            answer = service.post("/v1/moderations", {"input": "a", **model}, headers=head)
            assert answer.status_code == 200 and answer.json()["model"] == "strict"


def test_what_was_never_judged_cannot_be_labelled_and_is_told_so(service):
    answer = service.post("/v1/moderations/labels", {"id": "modr-x", "flagged": False})
    assert answer.status_code == 404 and "An ensemble has not judged it" in answer.text


def test_who_is_asked_at_the_wrong_endpoint_is_told_the_right_one(service):
    for path, body in (
        ("/v1/responses", {"input": "a"}),
        ("/v1/messages", {"max_tokens": 5, "messages": [{"role": "user", "content": "a"}]}),
    ):
        answer = service.post(path, {"model": "guard", **body})
        assert "'guard' is asked at /v1/moderations, and not here." in answer.text


def test_what_a_screen_costs_is_spent_also_where_it_refuses():
    priced = FLEET.replace(
        "id: judge, engine: fake,", "id: judge, engine: fake, price: {output: 1000},"
    )
    priced = priced.replace(
        "  lost:", "  judged: {router: echo, screen: {before: experts}}\n  lost:"
    )
    with running(priced + "keys: [{name: ann, key: key-of-ann, budget: {usd: 9}}]") as service:
        head = {"authorization": "Bearer key-of-ann"}
        said = {"model": "judged", "messages": [{"role": "user", "content": "you fool"}]}
        refused = service.post("/v1/chat/completions", said, headers=head)
        assert refused.json()["error"]["code"] == "content_filter"
        after = service.post("/v1/moderations", {"input": "a", "model": "words"}, headers=head)
        assert float(after.headers["x-motet-budget-left-usd"]) < 9
