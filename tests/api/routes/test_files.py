"""Files over HTTP: kept, listed, read and deleted, and bounded."""

import httpx
import openai
import pytest
from tests.conftest import running


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
