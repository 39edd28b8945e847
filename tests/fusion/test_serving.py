"""What a request means to a fusion that is loaded: who is fused, and what is refused."""

import pytest
from tests.fusion.served import answer, ask, served, started

from motet.errors import ContextLengthExceeded, ExpertRejected
from motet.types import Request


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return served(tmp_path_factory.mktemp("served"))


async def test_what_cannot_be_fused_is_refused(world):
    async with started(world) as expert:
        for named, match in (
            ({"primary": "anne"}, "Did you mean 'ann'"),
            ({"primary": "cid", "peers": ["ann"]}, "not trained as a primary"),
            ({"primary": "ann", "peers": ["bob", "cid", "ann"]}, "at most 2"),
            ({"main": "ann"}, "primary"),
            ("ann", "primary"),
        ):
            request = Request(model="fusion", prompt="x", extra={"fusion": named})
            with pytest.raises(ExpertRejected, match=match):
                await answer(expert, request)
        with pytest.raises(ContextLengthExceeded) as error:
            await answer(expert, ask("x" * 256))
        assert error.value.limit == 256 and "ann" in str(error.value)
        assert await answer(expert, ask("x"))


async def test_a_peer_with_a_shorter_context_is_named(world):
    async with started(world) as expert:
        expert.fusion.members[2].context = 20
        with pytest.raises(ContextLengthExceeded, match="'cid' is 20"):
            await answer(expert, ask("x" * 40))
        assert await answer(expert, ask("x" * 40, peers=["bob"]))
