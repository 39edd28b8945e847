"""One answer under way: whatever ends it ends its calls, and no fault of others gets out."""

import time

import pytest
from tests.composer.helpers import ECHO, ask, motet, read

from motet.errors import DeadlineExceeded, MotetError


async def test_deadline():
    async with motet(
        ["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"], limits="{deadline_s: 0.1}"
    ) as found:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
            await read(found, ask())
        assert time.monotonic() - began < 5
        assert found.fleet["a"].open == 0


async def test_leaving_stops_the_expert():
    async with motet(["{id: a, engine: fake, tokens: [x, y], token_delay_s: 60}"]) as found:
        async with found.answer(ask()) as answer:
            assert (await anext(answer)).text == "x"
            assert found.fleet["a"].open == 1
        assert found.fleet["a"].open == 0


async def test_foreign_error_is_contained(caplog):
    async with motet([ECHO]) as found:

        async def explode(request):
            raise ZeroDivisionError("secret detail")
            yield

        found.fleet["echo"].stream = explode
        with pytest.raises(MotetError) as caught:
            await read(found, ask())
        assert "secret" not in str(caught.value)
        assert "secret detail" in caplog.text
