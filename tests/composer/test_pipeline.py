"""One request's way: what its model names, and who is chosen."""

import pytest
from tests.composer.helpers import ECHO, ask, motet, read

from motet.config import parse
from motet.errors import NoExpertAvailable, UnknownModel
from motet.service.motet import Motet
from motet.types import Usage


async def test_chat():
    async with motet([ECHO]) as found:
        reply = await found.chat("auto", "one two", max_tokens=5)
        assert str(reply) == "one two"
        assert reply.usage == Usage(2, 2)
        assert reply.expert == "echo"
        assert reply.explanation["cost_usd"] == pytest.approx(6e-6)


async def test_named_expert():
    async with motet([ECHO, "{id: b, engine: fake, tokens: [hi]}"]) as found:
        text, answer = await read(found, ask(model="b"))
        assert (text, answer.author, answer.decision.router) == ("hi", "b", "direct")


async def test_unknown_model():
    async with motet([ECHO]) as found:
        with pytest.raises(UnknownModel, match="Did you mean 'echo'"):
            async with found.answer(ask(model="ecko")):
                pass


async def test_longer_context_takes_over():
    async with motet([ECHO, "{id: roomy, engine: fake, context: 500}"]) as found:
        _, answer = await read(found, ask("word " * 60))
        assert answer.author == "roomy"


async def test_direct_call_to_a_sleeping_expert():
    async with motet([ECHO, "{id: b, engine: fake, down: asleep}"]) as found:
        with pytest.raises(NoExpertAvailable, match="asleep"):
            async with found.answer(ask(model="b")):
                pass


RULES = """
version: 1
experts:
  - {id: a, engine: fake, context: 100}
  - {id: b, engine: fake, context: 1000}
routers:
  turns:
    kind: symbolic
    rules:
      - {name: full, when: context_used > 0.5, use: [b]}
      - {name: other, when: last_expert == 'a', use: [b]}
      - {name: first, use: [a]}
  chained: {kind: chain, of: [turns]}
  plain: {kind: constant, expert: a}
compositions:
  auto: {router: chained}
  plain: {router: plain}
"""


async def test_rules_know_who_answered_before_and_how_full_its_context_is():
    async with Motet(parse(RULES)) as service:
        await service.fleet.ready()
        chat = [{"role": "user", "content": "hello"}]
        for turn, expert in enumerate(["a", "b", "a", "b"]):
            reply = await service.chat("auto", chat)
            assert reply.expert == expert
            chat += [
                {"role": "assistant", "content": str(reply)},
                {"role": "user", "content": f"turn {turn}"},
            ]
        assert (await service.chat("auto", [*chat[:-1], _long()], session="s")).expert == "a"
        assert (await service.chat("auto", [*chat, _long()], session="s")).expert == "b"


def _long():
    return {"role": "user", "content": "word " * 60}


async def test_what_nobody_reads_is_not_remembered():
    async with Motet(parse(RULES)) as service:
        await service.fleet.ready()
        noted = []
        service.memory.note = lambda request, past: noted.append(past)
        await service.chat("plain", "hello")
        await service.chat("a", "hello")
        assert noted == []
        await service.chat("auto", "hello")
        assert [past.expert for past in noted] == ["a"]
