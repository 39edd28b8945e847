"""Motet in Python: what a request goes through before, around and after its decision."""

import time

import pytest
from tests.conftest import running, wait_for
from tests.service.helpers import ASKING, NAMER, WAITING, ask, asking, ready

from motet.config import parse
from motet.errors import DeadlineExceeded, MotetError, NoExpertAvailable, RequestError, UnknownModel
from motet.experts import ENGINES
from motet.experts.fake import FakeExpert
from motet.service.motet import Motet
from motet.types import Caller


async def test_a_routers_own_call_is_in_trace_usage_and_cost():
    async with Motet(asking()) as motet:
        await ready(motet)
        reply = await motet.chat("auto", "hi")
    assert reply.expert == "b"
    routed, answered = reply.explanation["experts"]
    assert (routed["expert"], routed["purpose"]) == ("namer", "route")
    assert (answered["expert"], answered["purpose"]) == ("b", "answer")
    assert routed["usage"]["prompt_tokens"] > 0
    assert reply.usage.prompt_tokens == sum(
        each["usage"]["prompt_tokens"] for each in (routed, answered)
    )
    assert reply.explanation["cost_usd"] > 1e-4 > answered["cost_usd"] > 0


async def test_a_routers_own_call_is_in_the_budget():
    async with Motet(asking(calls=1)) as motet:
        await ready(motet)
        with pytest.raises(MotetError, match="1 expert calls"):
            await motet.chat("auto", "hi")


async def test_a_router_that_hangs_ends_at_the_deadline():
    async with Motet(asking(delay_s=600, deadline_s=0.3)) as motet:
        await ready(motet)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="0.3 s allowed for 'auto'"):
            async with motet.answer(ask()):
                pass
        with pytest.raises(DeadlineExceeded):
            await motet.route(ask())
        assert time.monotonic() - began < 20
        assert motet.fleet["namer"].open == 0


def test_over_http_the_header_and_the_metrics_have_it():
    with running(asking()) as service:
        wait_for(lambda: service.get("/ready").json()["complete"])
        answer = service.chat("hi")
        assert float(answer.headers["x-motet-cost-usd"]) > 1e-4
        assert answer.headers["x-motet-experts"] == "b"
        said = service.get("/metrics").text
        assert 'motet_expert_calls_total{expert="namer",outcome="ok"} 1.0' in said
        assert 'motet_requests_total{composition="auto",status="ok"} 1.0' in said
        assert "motet_requests_in_progress 0.0" in said


async def test_a_caller_asks_what_it_may():
    async with Motet(asking()) as motet:
        await ready(motet)
        caller = Caller(key="k", models=frozenset({"a"}))
        assert (await motet.chat("a", "hi", caller=caller)).text == "ay"
        with pytest.raises(UnknownModel, match="Known: a"):
            await motet.chat("auto", "hi", caller=caller)


class OwnField(FakeExpert):
    own_fields = frozenset({"private"})


ENGINES.register("own-field", OwnField)


async def test_an_engines_own_field_passes_no_composition():
    text = ASKING % (NAMER, 0, 60, 16)
    async with Motet(
        parse(text.replace("id: a, engine: fake", "id: a, engine: own-field"))
    ) as motet:
        await ready(motet)
        for fields in ({"private": 1}, {"private": 1, "other": 2}):
            with pytest.raises(RequestError, match="private: only the expert that reads it"):
                async with motet.answer(ask(extra=fields)):
                    pass
        assert (await motet.chat("a", "hi", extra={"private": 1})).text == "ay"
        assert (await motet.chat("auto", "hi", extra={"other": 1})).text == "bee"


async def test_chat_does_not_wait_for_ever():
    async with Motet(parse(WAITING)) as motet:
        assert (await motet.chat("soon", "hi")).text == "x"
        began = time.monotonic()
        with pytest.raises(NoExpertAvailable, match="the key is refused"):
            await motet.chat("down", "hi")
        with pytest.raises(NoExpertAvailable, match="late is starting"):
            await motet.chat("late", "hi")
        assert 0.3 < time.monotonic() - began < 20
        with pytest.raises(UnknownModel):
            await motet.chat("doun", "hi")


async def test_a_service_that_is_not_started_says_so():
    with pytest.raises(NoExpertAvailable, match="not started"):
        await Motet(parse(WAITING)).chat("soon", "hi")
