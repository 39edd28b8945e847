"""One request's way: what its model names, and who is chosen."""

import pytest
from tests.composer.helpers import ECHO, ask, motet, read

from motet.errors import NoExpertAvailable, UnknownModel
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
