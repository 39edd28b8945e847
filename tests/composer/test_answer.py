"""One answer under way: whatever ends it ends its calls, and no fault of others gets out."""

import asyncio
import time

import pytest
from tests.composer.helpers import ECHO, ask, motet, read
from tests.operations.recording import Recording

from motet.composer.strategies import STRATEGIES, Strategy
from motet.config import parse
from motet.errors import DeadlineExceeded, MotetError
from motet.routers import ROUTERS, Router
from motet.service.motet import Motet
from motet.types import Choice, Decision


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
        async with found.answer(ask(stream=True)) as answer:
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


class AtOnce(Strategy):
    """Fails when it is called, not when it is run."""

    def run(self, request, decision, calls):
        raise ValueError("of its own")


class Nothing(Strategy):
    async def run(self, request, decision, calls):
        return
        yield


class Abandoned(Router):
    """Waits for what somebody else cancels."""

    async def route(self, request, fleet, calls):
        awaited = asyncio.get_running_loop().create_future()
        awaited.cancel()
        await awaited


class Leaving(Router):
    """Leaves a call behind, and decides or fails."""

    async def route(self, request, fleet, calls):
        self.left = asyncio.create_task(calls.ask("hangs", request))
        await asyncio.sleep(0.01)
        if self.name == "fails":
            raise ValueError("of its own")
        return Decision(choices=(Choice("echo"),), router=self.name, reason="")


STRATEGIES.register("at-once", AtOnce)


STRATEGIES.register("nothing", Nothing)


ROUTERS.register("leaving", Leaving)


ROUTERS.register("abandoned", Abandoned)


FAULTY = """
version: 1
experts: [{id: echo, engine: fake}, {id: hangs, engine: fake, delay_s: 60}]
routers:
  one: {kind: constant, expert: echo}
  leaves: {kind: leaving}
  fails: {kind: leaving}
  abandoned: {kind: abandoned}
compositions:
  at-once: {router: one, strategy: {kind: at-once}}
  nothing: {router: one, strategy: {kind: nothing}}
  leaves: {router: leaves}
  fails: {router: fails}
  abandoned: {router: abandoned}
"""


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("at-once", "500"),
        ("nothing", "500"),
        ("leaves", "ok"),
        ("fails", "500"),
        ("abandoned", "500"),
    ],
)
async def test_code_that_is_not_ours_ends_every_request_once(model, status):
    heard = Recording()
    async with Motet(parse(FAULTY), observers=[heard]) as motet:
        for expert in ("echo", "hangs"):
            await motet.fleet.ready(expert)
        if status == "ok":
            assert (await motet.chat(model, "one two")).text == "one two"
        else:
            with pytest.raises(MotetError):
                await motet.chat(model, "one two")
        await motet.observers.flush()
        assert heard.names.count("began") == heard.names.count("finished") == 1
        assert heard.names[-1] == "finished" and heard.of("finished")[0].status == status
        async with asyncio.timeout(5):
            await motet.pipeline.idle()
        assert motet.fleet["hangs"].open == 0


async def test_a_call_that_did_not_begin_in_time_is_counted_as_a_failure():
    text = FAULTY.replace("expert: echo}", "expert: hangs, fallbacks: [echo]}").replace(
        "kind: nothing", "kind: single, first_chunk_s: 0.05"
    )
    heard = Recording()
    async with Motet(parse(text), observers=[heard]) as motet:
        for expert in ("echo", "hangs"):
            await motet.fleet.ready(expert)
        assert (await motet.chat("nothing", "hi")).expert == "echo"
        await motet.observers.flush()
    assert [bool(call.error) for call in heard.of("called")] == [True, False]
