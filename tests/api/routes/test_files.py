"""Files over HTTP: kept, listed, read and deleted, and bounded."""

import httpx
import openai
import pytest
from tests.conftest import running, wait_for


@pytest.fixture
def service(config):
    with running(config) as found:
        yield found


def test_files(client):
    file = client.files.create(file=("../../x.jsonl", b"{}\n"), purpose="batch")
    assert client.files.retrieve(file.id).bytes == 3
    assert client.files.content(file.id).read() == b"{}\n"
    other = client.files.create(file=("y.jsonl", b""), purpose="batch")
    assert [f.id for f in client.files.list(limit=1)] == [other.id, file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "batches.db", "file-0", "%00"])
def test_only_ids_of_files_lead_to_files(service, name):
    assert service.get(f"/v1/files/{name}/content").status_code == 404


def test_file_over_the_limit(service):
    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        for _ in range(30):
            yield b"x" * 10_000

    files = {"file": ("a", b"x" * 200_000)}
    told = httpx.post(f"{service.url}/v1/files", data={"purpose": "batch"}, files=files)
    head = {"content-type": "multipart/form-data; boundary=b"}
    untold = httpx.post(f"{service.url}/v1/files", content=chunks(), headers=head)
    for answer in (told, untold):
        assert answer.status_code == 413
        assert "service.batches.max_file_bytes" in answer.json()["error"]["message"]
    assert service.get("/v1/files").json()["data"] == []


KEYED = """
version: 1
experts: [{id: a, engine: fake, tokens: [fine]}]
service:
  api_keys: [alice, bob]
  batches: {max_kept_bytes: 600}
store: {path: %s}
"""
LINE = b'{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "a", "messages": [{"role": "user", "content": "s3cret"}]}}\n'  # fmt: skip


def test_what_comes_with_one_key_is_nothing_to_another(tmp_path):
    with running(KEYED % (tmp_path / "store" / "batches.db")) as service:
        alice, bob = (
            openai.OpenAI(base_url=f"{service.url}/v1", api_key=k) for k in ("alice", "bob")
        )
        wait_for(lambda: service.get("/ready").json()["complete"])
        file = alice.files.create(file=("x.jsonl", LINE), purpose="batch")
        batch = alice.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")  # fmt: skip
        wait_for(lambda: alice.batches.retrieve(batch.id).status == "completed", 30)
        output = alice.batches.retrieve(batch.id).output_file_id
        assert b"fine" in alice.files.content(output).read()
        assert list(bob.files.list()) == [] and list(bob.batches.list()) == []
        for ask in (
            lambda: bob.files.retrieve(file.id),
            lambda: bob.files.content(output),
            lambda: bob.files.delete(file.id),
            lambda: bob.batches.retrieve(batch.id),
            lambda: bob.batches.cancel(batch.id),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        with pytest.raises(openai.NotFoundError):
            bob.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")  # fmt: skip
        with pytest.raises(openai.BadRequestError, match="may hold 600 bytes"):
            alice.files.create(file=("y.jsonl", b"x" * 400), purpose="batch")
        assert bob.files.create(file=("y.jsonl", b"x" * 400), purpose="batch").bytes == 400
        kept = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
        assert kept and not [path for path in kept if path.stat().st_mode & 0o077]
