"""Files of a service: content in a folder, known by ids that are made here."""

import io

import pytest

from motet.batch.files import Files
from motet.errors import NotFound, RequestError
from motet.store.database import Database


async def nobody(id):
    return None


async def somebody(id):
    return "batch_1"


@pytest.fixture
async def files(place):
    async with Database(place) as database:
        yield Files(database)


async def test_what_is_uploaded_is_kept_under_an_id_and_not_under_its_name(files, place):
    file = await files.add("../in.jsonl", io.BytesIO(b"{}\n"))
    assert (file["filename"], file["bytes"], file["purpose"]) == ("../in.jsonl", 3, "batch")
    assert files.path(file["id"]).read_bytes() == b"{}\n"
    assert files.path(file["id"]).parent == place.folder
    assert await files.get(file["id"]) == file
    assert await files.listing(None, 10, "batch") == ([file], False)


async def test_a_file_that_is_registered_twice_is_one(files):
    file = await files.add("in.jsonl", io.BytesIO(b"x"))
    assert await files.register(file["id"], "other", "batch_output") == file


async def test_a_file_goes_with_its_content_unless_a_batch_reads_it(files):
    file = await files.add("in.jsonl", io.BytesIO(b"x"))
    with pytest.raises(RequestError, match="input of batch 'batch_1', which has not ended"):
        await files.remove(file["id"], somebody)
    await files.remove(file["id"], nobody)
    assert not files.path(file["id"]).exists()
    with pytest.raises(NotFound):
        await files.remove(file["id"], nobody)
