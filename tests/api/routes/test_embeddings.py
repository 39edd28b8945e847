"""Embeddings over HTTP: the official client, keys and limits, who leaves, and routed encoders."""

import asyncio
import json
import socket
import threading

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse
from tests.conftest import running, wait_for
from tests.encoders.words import word_encoder
from typer.testing import CliRunner

from motet.cli.main import app
from motet.composer.assembly import assemble
from motet.config import parse
from motet.service.keeping import kept_by
from motet.service.replay import replay
from motet.store.decisions import DecisionRows, Wanted

FLEET = """
version: 1
experts: [{id: echo, engine: fake}]
encoders:
  - {id: toy, engine: fake-encoder, price: {input: 1000000}}
  - {id: slow, engine: fake-encoder, delay_s: 30}
  - {id: dead, engine: fake-encoder, fail_after: 0, error: unavailable}
"""
KEYS = """
keys:
  - {name: ann, key: key-of-ann, limits: {tokens_per_minute: 10}, models: [toy]}
"""


@pytest.fixture(scope="module")
def service():
    with running(FLEET) as found:
        yield found


def embed(service, input="a b c", model="toy", headers=None, **fields):
    return service.post(
        "/v1/embeddings", {"model": model, "input": input, **fields}, headers=headers
    )


def test_official_client(client):
    answer = client.embeddings.create(model="toy", input=["a b", "c"])
    vectors = np.array([each.embedding for each in answer.data], np.float32)
    plain = client.embeddings.create(model="toy", input=["a b", "c"], encoding_format="float")
    np.testing.assert_array_equal(
        vectors, np.array([each.embedding for each in plain.data], np.float32)
    )
    assert [each.index for each in answer.data] == [0, 1]
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("toy", 3, 3)
    with pytest.raises(openai.NotFoundError, match="Did you mean 'toy'"):
        client.embeddings.create(model="tiy", input="a")
    with pytest.raises(openai.BadRequestError, match=r"input\[1\]: a text must not be empty"):
        client.embeddings.create(model="toy", input=["a", ""])


def test_wire_form_is_openais(service):
    said = embed(service, encoding_format="float").json()
    CreateEmbeddingResponse.model_validate(said, strict=True)
    assert set(said["data"][0]) == {"object", "index", "embedding"}


def test_what_it_took_is_said_and_counted(service):
    answer = embed(service, motet={"explain": True})
    assert answer.headers["x-motet-cost-usd"] == "3" and answer.headers["x-motet-experts"] == "toy"
    (call,) = answer.json()["motet"]["experts"]
    assert call["expert"] == "toy" and call["usage"]["prompt_tokens"] == 3
    metrics = service.get("/metrics").text
    assert 'motet_tokens_total{direction="prompt",expert="toy"}' in metrics
    assert 'motet_requests_total{composition="toy",status="ok"}' in metrics


def test_models_list_encoders(service):
    listed = service.get("/v1/models").json()["data"]
    kinds = {each["id"]: each["motet"]["kind"] for each in listed}
    assert kinds == {"echo": "expert", "toy": "encoder", "slow": "encoder", "dead": "encoder"}


def test_each_model_has_its_endpoint(service):
    answer = embed(service, model="echo")
    assert answer.status_code == 400
    assert "asked at /v1/chat/completions, and not at /v1/embeddings" in answer.text
    assert "asked at /v1/embeddings" in service.chat(model="toy").text


def test_an_encoder_that_fails_is_an_error(service):
    answer = embed(service, model="dead")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    assert answer.json()["error"]["code"] == "expert_unavailable"


def test_a_client_that_leaves_stops_the_encoder(service):
    slow = service.motet.parts.experts["slow"]
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps({"model": "slow", "input": "a"})
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/embeddings HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        wait_for(lambda: slow.open == 1)
    wait_for(lambda: slow.open == 0)


def test_keys_bound_what_is_embedded():
    with running(FLEET + KEYS) as service:
        ann = {"authorization": "Bearer key-of-ann"}
        assert embed(service).status_code == 401
        assert embed(service, headers=ann).headers["x-ratelimit-limit-tokens"] == "10"
        assert embed(service, model="slow", headers=ann).status_code == 404
        refused = embed(service, "word " * 20, headers=ann)
        assert refused.status_code == 429 and "tokens per minute" in refused.text


def test_a_service_that_stops_says_so():
    with running(FLEET) as service:
        answers = []
        asking = threading.Thread(target=lambda: answers.append(embed(service, model="slow")))
        asking.start()
        wait_for(lambda: service.motet.parts.experts["slow"].open == 1)
    asking.join(10)
    assert answers[0].status_code == 503 and "stops" in answers[0].text


# What is asked, in the words of a domain, and the document that answers it.
PAIRS = [
    *(("sea", f"what is the {a} of a {b}", f"{a} {b} sail") for a in ("rope", "mast") for b in ("wind", "sail", "rope", "mast")),
    *(("law", f"what is the {a} of a {b}", f"{a} {b} court") for a in ("judge", "statute") for b in ("court", "appeal", "judge", "statute")),
]  # fmt: skip
ROUTED = """
version: 1
experts: [{{id: echo, engine: fake}}]
encoders:
  - {{id: base, engine: encoder, model: {encoder}, backend: torch}}
  - {{id: sea, engine: encoder, model: {encoder}, backend: torch, artifact: domains, domain: sea}}
  - {{id: law, engine: encoder, model: {encoder}, backend: torch, artifact: domains, domain: law}}
routers:
  domains: {{kind: retriever, artifact: domains, documents: base, backend: torch}}
compositions:
  find: {{router: domains}}
store: {{path: store.db, text: true}}
"""


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """A service whose expert encoders the command line has fitted."""
    folder = tmp_path_factory.mktemp("routed")
    encoder = word_encoder(folder / "encoder")
    rows = [dict(zip(("domain", "question", "document"), pair, strict=True)) for pair in PAIRS]
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    fit = ["encoder", "fit", folder / "q.jsonl", "--out", folder / "domains", "--encoder", encoder]
    done = CliRunner().invoke(app, [*map(str, fit), "--centroids", "2", "--epochs", "5"])
    assert done.exit_code == 0 and "law" in done.stdout, done.output
    with running(parse(ROUTED.format(encoder=encoder), folder=folder)) as found:
        wait_for(lambda: found.get("/ready").json()["complete"], 30)
        yield found


def test_a_composition_chooses_for_each_query(routed):
    answer = embed(routed, ["rope of the mast", "judge of the court"], "find")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert [each["encoder"] for each in said["data"]] == ["sea", "law"]
    for text, item in zip(["rope of the mast", "judge of the court"], said["data"], strict=True):
        alone = embed(routed, text, item["encoder"]).json()["data"][0]["embedding"]
        np.testing.assert_allclose(item["embedding"], alone, atol=1e-6)
    assert said["usage"]["prompt_tokens"] == 8


def test_documents_of_a_composition_stand_in_one_index(routed):
    document = "rope wind sail"
    said = embed(routed, [document, document], "find", input_type="document").json()
    base = embed(routed, document, "base").json()["data"][0]["embedding"]
    assert {each["encoder"] for each in said["data"]} == {"base"}
    np.testing.assert_allclose(
        [each["embedding"] for each in said["data"]], [base, base], atol=1e-6
    )
    of_expert = embed(routed, document, "sea", input_type="document").json()["data"][0]
    np.testing.assert_allclose(of_expert["embedding"], base, atol=1e-6)


def test_the_decision_is_explained(routed):
    answer = embed(routed, "judge", "find", motet={"explain": True})
    decision = answer.json()["motet"]["decision"]
    assert decision["router"] == "domains" and decision["primary"] == "law"
    assert decision["reason"].startswith("nearest to the questions of 'law'")
    assert answer.json()["model"] == "law"
    assert "up to 64 texts" in embed(routed, ["a"] * 65, "find").text


async def test_a_decision_is_kept_and_made_again(routed):
    embed(routed, "the statute of a court", "find", input_type="query")
    document = routed.motet.document
    for _ in range(40):
        async with kept_by(document) as database:
            rows = await DecisionRows(database).listing(Wanted(composition="find"), 1)
        if rows and "statute" in (rows[0].prompt or ""):
            break
        await asyncio.sleep(0.1)
    (row,) = rows
    assert (row.router, row.author, row.outcome) == ("domains", "law", "ok")
    assert row.prompt_tokens == 5 and row.artifact
    again = await replay(rows, document)
    assert len(again.rows) == 1 and not again.changed


def test_an_apply_keeps_encoders_that_stay(routed):
    parts = routed.motet.parts
    text = parts.document.text.replace("find:", "search:")
    after = assemble(parse(text, folder=parts.document.folder), before=parts)
    assert "search" in after.compositions
    assert all(after.experts[name] is expert for name, expert in parts.experts.items())
