"""Loading once for all who wait, and not at once again after a failure."""

import asyncio

import pytest

from motet.errors import MotetError
from motet.routers.loading import Loading, fall_back
from motet.types import Choice, ExpertCard, Fleet, Member


class Source:
    """Gives what it is told to, in turn; an error is raised."""

    def __init__(self, *gives):
        self.gives = list(gives)
        self.now = 0.0

    async def load(self):
        await asyncio.sleep(0)
        given = self.gives.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def loading(self):
        return Loading(self.load, retry_s=10.0, clock=lambda: self.now)


async def test_all_who_wait_get_the_one_that_is_loaded():
    source = Source("loaded")
    loading = source.loading()
    assert await asyncio.gather(*(loading.get() for _ in range(5))) == ["loaded"] * 5
    assert await loading.get() == "loaded"


async def test_a_failure_is_told_again_until_it_is_time_to_try():
    source = Source(MotetError("first"), MotetError("second"), "loaded")
    loading = source.loading()
    for source.now, said in ((0.0, "first"), (9.9, "first"), (10.0, "second"), (19.9, "second")):
        with pytest.raises(MotetError, match=said):
            await loading.get()
    source.now = 20.0
    assert await loading.get() == "loaded"


def test_the_fallback_stands_before_the_others_where_it_is_there():
    fleet = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in ("a", "b"))
    decision = fall_back("r", "b", fleet, "unsure", (Choice("a"), Choice("b")))
    assert decision.experts == ("b", "a") and decision.confidence == 0
    assert decision.reason == "fallback 'b': unsure"
    assert fall_back("r", None, fleet, "unsure", ()) is None
    assert fall_back("r", "c", fleet, "unsure", ()) is None
