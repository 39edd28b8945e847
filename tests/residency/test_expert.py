"""A leased expert: whoever gives the leases, a request takes one first and gives it back."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from motet.config import ExpertEntry
from motet.errors import ExpertOverloaded, ExpertUnavailable
from motet.experts.build import build
from motet.residency.expert import LeasedExpert
from motet.types import READY, Request
from motet.weights import Setting

ASK = Request(model="x", messages=({"role": "user", "content": "one two"},))


class Leases:
    """Gives out leases, and remembers who asked for what."""

    def __init__(self, full=False):
        self.full = full
        self.known, self.asked, self.held = {}, [], set()

    async def admit(self, engine, *, slots, pinned):
        self.known[engine] = (slots, pinned)

    @asynccontextmanager
    async def lease(self, engine, expert):
        self.asked.append((engine, expert))
        if self.full:
            raise ExpertOverloaded(expert, "too many wait.")
        self.held.add(engine)
        try:
            yield
        finally:
            self.held.remove(engine)

    async def health(self, engine):
        return READY


def made(**fields):
    return build(ExpertEntry(id="x", engine="fake", **fields), Setting(Path(), Path()))


async def test_a_request_holds_a_lease_until_it_ends():
    leases = Leases()
    answer = LeasedExpert(made(), leases).stream(ASK)
    assert (await anext(answer)).text == "one "
    assert leases.held == {"x"} and leases.asked == [("x", "x")]
    await answer.aclose()  # the client has left
    assert not leases.held


async def test_without_a_lease_nobody_is_asked():
    built = made()
    with pytest.raises(ExpertOverloaded):
        await anext(LeasedExpert(built, Leases(full=True)).stream(ASK))
    assert built.open == 0


async def test_an_adapter_leases_its_bases_engine():
    base = ExpertEntry(id="lora", engine="vllm", base="own", adapter="folder")
    leases = Leases()
    expert = LeasedExpert(build(base, Setting(Path(), Path())), leases)
    await expert.start()
    assert leases.known == {"own": (expert.slots, False)}
    with pytest.raises(ExpertUnavailable, match="runs on Ray"):
        await anext(expert.stream(ASK))
    assert leases.asked == [("own", "lora")]


async def test_what_is_loaded_answers_and_knows_its_card():
    loaded = None
    expert = LeasedExpert(made(pinned=True), Leases(), lambda: loaded)
    assert (await expert.health()).ready and expert.card.context is None
    loaded = made(tokens=["loaded"])
    loaded.card = replace(loaded.card, context=512)
    assert (await expert.health()).ready and expert.card.context == 512
    assert "".join([chunk.text async for chunk in expert.stream(ASK)]) == "loaded"


async def test_who_waits_for_a_lease_is_counted_until_it_has_one_or_goes():
    free = asyncio.Event()

    class Slow(Leases):
        @asynccontextmanager
        async def lease(self, engine, expert):
            await free.wait()
            yield

    expert = LeasedExpert(made(), Slow())
    asking = [asyncio.create_task(anext(expert.stream(ASK))) for _ in range(3)]
    await asyncio.sleep(0)
    assert expert.waiting == 3
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    assert expert.waiting == 2
    free.set()
    await asyncio.gather(*asking[1:])
    assert expert.waiting == 0
