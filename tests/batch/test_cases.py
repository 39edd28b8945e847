"""What is carried from step to step changes no answer, however much of it there is room for."""

import asyncio
import zlib

import pytest
from tests.batch.helpers import run_batch
from tests.batch.panels import FLEET, lines

from motet.experts import ENGINES
from motet.experts.fake import FakeExpert


class Uneven(FakeExpert):
    """Answers now sooner, now later, always the same for the same question."""

    async def stream(self, request):
        await asyncio.sleep(zlib.crc32(f"{self.card.id} {request.text}".encode()) % 20 / 1000)
        async for chunk in super().stream(request):
            yield chunk


ENGINES.register("uneven", Uneven)


UNEVEN = FLEET.replace("engine: fake", "engine: uneven")


@pytest.mark.parametrize("carried", [0, 5_000, 20_000, 2**20])
async def test_what_is_carried_changes_nothing(tmp_path, carried):
    done = await run_batch(tmp_path, lines("council", 40), fleet=UNEVEN, memory=4, carried=carried)
    assert len(done.texts) == 40 and not done.errors
    assert done.loader.calls == {"red": 40, "blue": 40, "rose": 40, "editor": 40}
