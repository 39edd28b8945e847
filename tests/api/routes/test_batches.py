"""Batches over HTTP, with the official client, through restarts and between replicas."""

import json
import time

import httpx
import openai
import pytest
from tests.api.routes.batches import created, jsonl, line
from tests.conftest import running, wait_for
from tests.operations.recording import Recording

ENDED = ("completed", "failed", "expired", "cancelled")


@pytest.fixture
def service(config):
    with running(config) as found:
        yield found


def ended(client, batch):
    wait_for(lambda: client.batches.retrieve(batch.id).status in ENDED, 30)
    return client.batches.retrieve(batch.id)


def content(client, file):
    return [json.loads(each) for each in client.files.content(file).text.splitlines()]


def test_official_client(client):
    batch = created(client, jsonl(line("a"), line("b", "dead"), line("c"), line("d", "ecoh")))
    assert batch.status == "validating"
    done = ended(client, batch)
    assert done.status == "completed", done.errors
    assert done.request_counts.model_dump() == {"total": 4, "completed": 2, "failed": 2}
    answers = content(client, done.output_file_id)
    assert [a["custom_id"] for a in answers] == ["a", "c"]
    assert answers[0]["response"]["body"]["choices"][0]["message"]["content"] == "hello a"
    errors = {e["custom_id"]: e["response"] for e in content(client, done.error_file_id)}
    assert errors["b"]["status_code"] == 400
    assert "Did you mean 'echo'" in errors["d"]["body"]["error"]["message"]
    assert done.in_progress_at and done.finalizing_at and done.completed_at


def test_pages(client):
    made = [created(client, jsonl(line("a"))) for _ in range(3)]
    for batch in made:
        ended(client, batch)
    page = client.batches.list(limit=2)
    assert [b.id for b in page.data] == [made[2].id, made[1].id] and page.has_more
    rest = client.batches.list(limit=2, after=made[1].id)
    assert [b.id for b in rest.data] == [made[0].id] and not rest.has_more
    assert [b.id for b in client.batches.list(limit=1)] == [b.id for b in reversed(made)]


def test_mistakes(client, service):
    file = client.files.create(file=("in.jsonl", jsonl(line("a"))), purpose="batch")

    def refused(status, said, **changes):
        body = {"input_file_id": file.id, "endpoint": "/v1/chat/completions"}
        answer = service.post("/v1/batches", body | {"completion_window": "24h"} | changes)
        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]

    refused(404, f"Did you mean '{file.id}'", input_file_id=file.id + "0")
    refused(400, "Did you mean '/v1/chat/completions'", endpoint="/v1/chat/completion")
    refused(400, "completion_window", completion_window="soon")
    refused(400, "input_file_id", input_file_id=7)
    assert service.get("/v1/batches/batch_0").status_code == 404
    assert service.get("/v1/batches?limit=0").status_code == 400
    assert service.get("/v1/batches?after=x").status_code == 400
    assert service.post("/v1/batches/batch_0/cancel", {}).status_code == 404
    wrong = httpx.post(f"{service.url}/v1/files", data={"purpose": "batch"})
    assert wrong.status_code == 400 and "file" in wrong.json()["error"]["message"]
    files = {"file": ("a", b"x")}
    wrong = httpx.post(f"{service.url}/v1/files", data={"purpose": "btch"}, files=files)
    assert wrong.status_code == 400 and "Did you mean 'batch'" in wrong.text


def test_cancel_keeps_what_is_answered(client):
    batch = created(client, jsonl(*(line(f"q{n}", "slow") for n in range(40))))
    wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed > 0)
    with pytest.raises(openai.BadRequestError, match="has not ended"):
        client.files.delete(batch.input_file_id)
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(client, batch)
    assert done.status == "cancelled"
    counts = done.request_counts
    assert 0 < counts.completed < 40 and counts.completed + counts.failed == 40
    assert len(content(client, done.output_file_id)) == counts.completed
    codes = {e["error"]["code"] for e in content(client, done.error_file_id)}
    assert codes == {"batch_cancelled"}
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.batches.cancel(batch.id)


def test_expiry(client):
    batch = created(client, jsonl(*(line(f"q{n}", "slow") for n in range(50))), window="1s")
    done = ended(client, batch)
    assert done.status == "expired"
    assert {e["error"]["code"] for e in content(client, done.error_file_id)} == {"batch_expired"}


@pytest.mark.parametrize(("lines", "said"), [(0, "no line"), (51, "max_lines")])
def test_input_that_fails_as_a_whole(client, lines, said):
    done = ended(client, created(client, jsonl(*(line(f"q{n}") for n in range(lines)))))
    assert done.status == "failed"
    assert said in done.errors.data[0].message


def test_a_service_that_restarts_goes_on(config):
    lines = jsonl(*(line(f"q{n}", "slow") for n in range(20)))
    with running(config) as first, openai.OpenAI(base_url=f"{first.url}/v1", api_key="x") as client:
        batch = created(client, lines)
        wait_for(lambda: client.batches.retrieve(batch.id).request_counts.completed > 0)
    with running(config) as again, openai.OpenAI(base_url=f"{again.url}/v1", api_key="x") as client:
        assert client.batches.retrieve(batch.id).status == "in_progress"
        done = ended(client, batch)
        assert done.request_counts.completed == 20
        names = [a["custom_id"] for a in content(client, done.output_file_id)]
        assert names == [f"q{n}" for n in range(20)]


def test_of_two_replicas_one_runs_a_batch(config):
    heard = Recording(), Recording()
    with running(config) as one, running(config) as two:
        one.motet.observers.add(heard[0])
        two.motet.observers.add(heard[1])
        with openai.OpenAI(base_url=f"{one.url}/v1", api_key="x") as client:
            time.sleep(0.1)
            batch = created(client, jsonl(*(line(f"q{n}", "slow") for n in range(12))))
            assert ended(client, batch).status == "completed"
    assert sorted(len(each.of("finished")) for each in heard) == [0, 12]


def test_keys_guard_files_and_batches(config):
    with running(config.replace("service: {", "service: {api_keys: [key], ")) as found:
        for path in ("/v1/files", "/v1/batches", "/v1/files/x/content"):
            assert found.get(path).status_code == 401
