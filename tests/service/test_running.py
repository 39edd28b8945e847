"""Parts at work: new ones come while answers run on the old, and what is shared goes on."""

import asyncio
import dataclasses
import time

import pytest
from tests.service.helpers import NEW, OLD, WAITING, Tracked, ask, ready, tracked

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import MotetError
from motet.service.motet import Motet


async def test_new_parts_come_while_answers_run_on_the_old():
    old, new = {}, {}
    async with Motet(tracked(OLD % 0.3, old)) as motet:
        await ready(motet)
        async with motet.answer(ask("a")) as answer:
            said = [(await anext(answer)).text]
            motet.replace(tracked(NEW, new))
            assert (await motet.chat("a", "hi")).text == "new"
            assert (await motet.chat("b", "hi there")).text == "hi there"
            assert old == {"a": ["start"]}  # nothing closes under an answer
            said += [chunk.text async for chunk in answer]
            assert "".join(said) == "older"
        while old["a"] != ["start", "close"]:
            await asyncio.sleep(0.005)
    assert new == {"a": ["start", "close"], "b": ["start", "close"]}


async def test_what_is_in_both_goes_on_untouched():
    life = {}
    parts = tracked(OLD % 0, life)
    async with Motet(parts) as motet:
        await ready(motet)
        more = tracked(NEW, {})
        both = dataclasses.replace(more, experts={"a": parts.experts["a"], "b": more.experts["b"]})
        motet.replace(both)
        assert motet.fleet.view["a"].health.ready  # at once: it never went away
        assert (await motet.chat("a", "hi")).text == "older"
        await asyncio.sleep(0.05)
        assert life == {"a": ["start"]}
    assert life == {"a": ["start", "close"]}


async def test_parts_that_are_replaced_at_the_last_moment_close_too():
    old, new = {}, {}
    async with Motet(tracked(OLD % 0, old)) as motet:
        await ready(motet)
        motet.replace(tracked(NEW, new))  # and the block ends before anything else runs
    assert old == {"a": ["start", "close"]}
    assert new["a"][-1:] == new["b"][-1:] == ["close"]
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("watch")]


async def test_old_parts_come_back_while_answers_run_on_them():
    life = {}
    parts = tracked(OLD % 0.2, life)
    async with Motet(parts) as motet:
        await ready(motet)
        async with motet.answer(ask("a")) as answer:
            await anext(answer)
            motet.replace(tracked(NEW, {}))
            await asyncio.sleep(0.01)
            motet.replace(parts)
            assert motet.fleet.view["a"].health.ready
            assert "er" in [chunk.text async for chunk in answer]
        await asyncio.sleep(0.1)
        assert (await motet.chat("a", "hi")).text == "older"
        assert life == {"a": ["start"]}
    assert life == {"a": ["start", "close"]}


class Slow(Tracked):
    async def close(self):
        await super().close()
        await asyncio.sleep(0.1)
        self.life.append("closed")


async def test_old_parts_come_back_while_they_close():
    life = []

    def build(entry, options, setting):
        expert = Slow(entry, options, setting)
        expert.life = life
        return expert

    parts = assemble(parse(OLD % 0), build)
    async with Motet(parts) as motet:
        await ready(motet)
        motet.replace(tracked(NEW, {}))
        while "close" not in life:
            await asyncio.sleep(0.005)
        motet.replace(parts)
        assert (await motet.chat("a", "hi")).text == "older"
        assert life == ["start", "close", "closed", "start"]


async def test_who_waits_for_an_expert_has_begun_on_its_parts():
    text = WAITING.replace("deadline_s: 0.4", "deadline_s: 30").replace("0.05}", "0.3}")
    async with Motet(parse(text)) as motet:
        waiting = asyncio.create_task(motet.chat("soon", "hi"))
        await asyncio.sleep(0.05)
        motet.replace(parse(NEW))
        began = time.monotonic()
        assert (await waiting).text == "x"
        assert time.monotonic() - began < 10


async def test_wrong_parts_change_nothing():
    async with Motet(parse(OLD % 0)) as motet:
        await ready(motet)
        before = motet.parts
        with pytest.raises(MotetError):
            motet.replace(parse(NEW.replace("engine: fake}", "engine: fak}")))
        assert motet.parts is before
        assert (await motet.chat("a", "hi")).text == "older"


def test_one_object_serves_two_loops_in_turn():
    motet = Motet(parse(OLD % 0))

    async def once():
        async with motet:
            return (await motet.chat("a", "hi")).text

    assert [asyncio.run(once()), asyncio.run(once())] == ["older", "older"]


SWAPPED = """
version: 1
experts: [{id: a, engine: fake-pool, tokens: [ay]}, {id: b, engine: fake-pool, tokens: [bee]}]
residency: {memory: 1GiB}
"""


def test_one_object_whose_experts_come_and_go_serves_two_loops_in_turn():
    motet = Motet(parse(SWAPPED))

    async def once():
        async with motet, asyncio.timeout(20):
            await ready(motet)
            return (await motet.chat("a", "hi")).text

    assert [asyncio.run(once()), asyncio.run(once())] == ["ay", "ay"]


async def test_closed_parts_whose_experts_come_and_go_come_back():
    async with Motet(parse(SWAPPED)) as motet, asyncio.timeout(20):
        await ready(motet)
        assert (await motet.chat("a", "hi")).text == "ay"
        parts = motet.parts
        motet.replace(parse(SWAPPED))
        await asyncio.sleep(0.1)
        motet.replace(parts)
        await ready(motet)
        assert (await motet.chat("a", "hi")).text == "ay"
        assert (await motet.chat("b", "hi")).text == "bee"
