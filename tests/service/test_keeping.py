"""What a service keeps of its requests, whatever becomes of its store."""

import asyncio
import io
import json

import pytest
from tests.batch.helpers import line
from tests.conftest import running, wait_for

from motet.batch.service import BatchService
from motet.config import Store, parse
from motet.errors import StoreError
from motet.protocol.batches import BatchBody
from motet.service.keeping import Keeper, kept_by
from motet.service.motet import Motet
from motet.store.decisions import DecisionRows, Wanted
from motet.store.usage import UsageRows
from motet.types import Request

FLEET = """
version: 1
experts:
  - {id: a, engine: fake, price: {input: 1, output: 2}}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
routers:
  first: {kind: constant, expert: dead, fallbacks: [a]}
compositions:
  auto: {router: first}
"""


@pytest.fixture
def document(place, tmp_path):
    """The fleet, whose store is at each kind of place."""
    document = parse(FLEET, folder=tmp_path)
    where = {"path": place.path} if place.path else {"url": place.url, "files": place.folder}
    document.config = document.config.model_copy(update={"store": Store(**where)})
    return document


async def kept(document):
    async with kept_by(document) as database:
        rows = await DecisionRows(database).listing(Wanted(), 100)
        return rows, await UsageRows(database).totals(["composition", "expert"])


async def test_requests_from_python_are_kept_to_the_last(document):
    motet = Motet(document)
    async with Keeper(motet), motet:
        for _ in range(3):
            await motet.chat("auto", "hello")
    rows, usage = await kept(document)
    assert [(row.composition, row.author, row.outcome) for row in rows] == [("auto", "a", "ok")] * 3
    calls = [json.loads(row.calls) for row in rows]
    assert all([call["expert"] for call in each] == ["dead", "a"] for each in calls)
    assert [(u["expert"], u["requests"], u["calls"]) for u in usage] == [
        ("a", 3, 3),
        ("dead", 0, 3),
    ]


async def test_lines_of_a_batch_are_kept_with_their_decisions(document):
    motet = Motet(document)
    keeper = Keeper(motet)
    async with keeper, motet, BatchService(motet, keeper.database) as batches:
        lines = "".join(json.dumps(line(f"q{n}", model="auto")) + "\n" for n in range(4))
        file = await batches.files().add("in.jsonl", io.BytesIO(lines.encode()))
        body = BatchBody(
            input_file_id=file["id"], endpoint="/v1/chat/completions", completion_window="1h"
        )
        batch = await batches.create(body)
        async with asyncio.timeout(20):
            while batch["status"] != "completed":
                await asyncio.sleep(0.05)
                batch = await batches.records().get(batch["id"])
    rows, usage = await kept(document)
    assert len(rows) == 4 and all(row.decision and row.outcome == "ok" for row in rows)
    assert sum(u["requests"] for u in usage) == 4 and sum(u["calls"] for u in usage) == 8


async def test_texts_are_kept_redacted_as_far_as_they_came(document):
    settings = document.config.store.model_copy(update={"text": True, "redact": ("hel+o",)})
    document.config = document.config.model_copy(update={"store": settings})
    motet = Motet(document)
    async with Keeper(motet), motet:
        await motet.chat("auto", "hello there, you")
        request = Request(model="a", messages=({"role": "user", "content": "one two three"},))
        async with motet.answer(request) as answer:  # and leaves after the first word
            first = (await anext(answer)).text
    rows, _ = await kept(document)
    assert [row.outcome for row in rows] == ["cancelled", "ok"]
    assert rows[0].answer == first
    assert rows[1].answer == "[redacted] there, you"
    assert json.loads(rows[1].prompt) == [{"role": "user", "content": "[redacted] there, you"}]


async def test_nothing_that_was_kept_is_said_so(tmp_path):
    document = parse(FLEET + "store: {path: none.db}\n", folder=tmp_path)
    with pytest.raises(StoreError, match="nothing is kept here yet"):
        await kept(document)
    assert not (tmp_path / "none.db").exists()


def test_a_service_without_its_store_answers_and_says_so_until_it_is_back(postgresql, tmp_path):
    place = postgresql.place(tmp_path)
    document = parse(FLEET, folder=tmp_path)
    settings = Store(url=place.url, files=tmp_path)
    document.config = document.config.model_copy(update={"store": settings})
    postgresql.kill()
    up = False
    try:
        with running(document) as service:  # it starts without it
            wait_for(lambda: not service.get("/ready").json()["store"]["up"], 20)
            assert service.get("/ready").json()["ready"] and service.chat().status_code == 200
            wait_for(lambda: "motet_store_up 0.0" in service.get("/metrics").text)
            refused = service.get("/v1/batches")
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "store_failed"
            assert "not-asked" not in refused.text  # its password
            postgresql.start()
            up = True
            wait_for(
                lambda: service.get("/ready").json()["store"] == {"up": True, "dropped": 0}, 20
            )
            assert service.get("/v1/batches").json()["data"] == []
            assert "motet_store_up 1.0" in service.get("/metrics").text
        rows, _ = asyncio.run(kept(document))
        assert [row.outcome for row in rows] == ["ok"]
    finally:
        if not up:
            postgresql.start()


@pytest.mark.parametrize("broken", ["a folder", "no database", "nowhere"])
def test_a_file_that_cannot_be_used_harms_no_answer(tmp_path, broken):
    if broken == "a folder":
        (tmp_path / "s.db").mkdir()
    elif broken == "no database":
        (tmp_path / "s.db").write_bytes(b"something else" * 1000)
    path = "/proc/nowhere/s.db" if broken == "nowhere" else "s.db"
    with running(parse(FLEET + f"store: {{path: {path}}}\n", folder=tmp_path)) as service:
        wait_for(lambda: not service.get("/ready").json()["store"]["up"])
        assert service.chat().status_code == 200
        assert service.get("/v1/files").status_code == 503
