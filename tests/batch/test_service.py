"""Batches beside a service whose parts are replaced."""

import asyncio
import io
import json

from tests.batch.helpers import line

from motet.batch.service import BatchService
from motet.config import parse
from motet.errors import ExpertUnavailable
from motet.experts import ENGINES
from motet.experts.fake import FakeExpert
from motet.protocol.batches import BatchBody
from motet.service.motet import Motet
from motet.store.database import Database


class Strict(FakeExpert):
    """Answers while it is started."""

    is_up = False

    async def start(self):
        await super().start()
        self.is_up = True

    async def close(self):
        self.is_up = False

    async def stream(self, request):
        if not self.is_up:
            raise ExpertUnavailable(self.card.id, "is not started.")
        async for chunk in super().stream(request):
            yield chunk


ENGINES.register("strict", Strict)
FLEET = """
version: 1
experts: [{id: a, engine: strict, tokens: [%s], delay_s: 0.1}]
service: {batches: {concurrency: 1}}
"""


async def test_a_batch_ends_on_the_parts_it_began_with(tmp_path, place):
    async with Motet(parse(FLEET % "old", folder=tmp_path)) as motet:
        async with Database(place) as database, BatchService(motet, database) as batches:
            lines = "".join(json.dumps(line(f"q{n}", model="a")) + "\n" for n in range(8))
            file = await batches.files().add("in.jsonl", io.BytesIO(lines.encode()))
            body = BatchBody(
                input_file_id=file["id"], endpoint="/v1/chat/completions", completion_window="1h"
            )
            batch = await batches.create(body)
            old = motet.fleet["a"]
            while not old.open:
                await asyncio.sleep(0.01)
            motet.replace(parse(FLEET % "new", folder=tmp_path))
            async with asyncio.timeout(20):
                while batch["status"] != "completed":
                    await asyncio.sleep(0.05)
                    batch = await batches.records().get(batch["id"])
            assert batch["request_counts"] == {"total": 8, "completed": 8, "failed": 0}
            while old.is_up:  # and then they close
                await asyncio.sleep(0.01)
