"""Motet in Python: what a request goes through before, around and after its decision."""

import asyncio
import dataclasses
import time

import pytest
from tests.conftest import running, wait_for

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import (
    DeadlineExceeded,
    MotetError,
    NoExpertAvailable,
    RequestError,
    UnknownModel,
)
from motet.experts import ENGINES
from motet.experts.fake import FakeExpert
from motet.service.motet import Motet
from motet.types import Caller, Request

NAMER = '{"expert": "b"}'
ASKING = """
version: 1
experts:
  - {id: a, engine: fake, tokens: [ay]}
  - {id: b, engine: fake, tokens: [bee], price: {input: 1, output: 1}}
  - {id: namer, engine: fake, tokens: ['%s'], price: {input: 100, output: 100}, delay_s: %s}
routers:
  llm: {kind: llm, expert: namer, by: name, timeout_s: 60}
  front: {kind: chain, of: [llm], fallback: a}
compositions: {auto: {router: front, limits: {deadline_s: %s, expert_calls: %s}}}
"""


def asking(delay_s=0, deadline_s=60, calls=16):
    return parse(ASKING % (NAMER, delay_s, deadline_s, calls))


def ask(model="auto", text="one two", **fields):
    return Request(model=model, messages=({"role": "user", "content": text},), **fields)


async def ready(motet):
    while not all(member.health.ready for member in motet.fleet.view.values()):
        await asyncio.sleep(0.005)


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
            await motet.answer(ask())
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


KEYS = """
version: 1
experts: [{id: a, engine: fake, tokens: [ay]}, {id: b, engine: fake, tokens: [bee]}]
service: {api_keys: [alpha, beta]}
routers:
  rules: {kind: symbolic, rules: [{name: theirs, when: "tenant == '%s'", use: [b]}]}
  front: {kind: chain, of: [rules], fallback: a}
compositions: {auto: {router: front}}
"""


def test_a_tenant_is_the_keys_and_not_what_a_body_claims():
    import hashlib

    tenant = "key-" + hashlib.sha256(b"beta").hexdigest()[:8]
    with running(KEYS % tenant) as service:
        wait_for(lambda: service.get("/ready").json()["complete"])

        def answer(key, **body):
            body = {"model": "auto", "messages": [{"role": "user", "content": "x"}], **body}
            headers = {"authorization": f"Bearer {key}"}
            return service.post("/v1/chat/completions", body, headers=headers).json()["model"]

        assert answer("beta") == "b"
        assert answer("alpha") == "a"
        forged = {"metadata": {"tenant": tenant}, "tenant": tenant, "caller": {"tenant": tenant}}
        assert answer("alpha", **forged) == "a"


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
                await motet.answer(ask(extra=fields))
        assert (await motet.chat("a", "hi", extra={"private": 1})).text == "ay"
        assert (await motet.chat("auto", "hi", extra={"other": 1})).text == "bee"


WAITING = """
version: 1
experts:
  - {id: down, engine: fake, down: the key is refused}
  - {id: late, engine: fake, ready_after_s: 600}
  - {id: soon, engine: fake, tokens: [x], ready_after_s: 0.05}
service: {health_interval_s: 0.01, limits: {deadline_s: 0.4}}
"""


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


OLD = "version: 1\nexperts: [{id: a, engine: fake, tokens: [old, er], token_delay_s: %s}]\n"
NEW = "version: 1\nexperts: [{id: a, engine: fake, tokens: [new]}, {id: b, engine: fake}]\n"


class Tracked(FakeExpert):
    """A fake that notes its life."""

    life: list

    async def start(self):
        await super().start()
        self.life.append("start")

    async def close(self):
        self.life.append("close")


def tracked(text, life):
    def build(entry, options, setting):
        expert = Tracked(entry, options, setting)
        expert.life = life.setdefault(entry.id, [])
        return expert

    return assemble(parse(text), build)


async def test_new_parts_come_while_answers_run_on_the_old():
    old, new = {}, {}
    async with Motet(tracked(OLD % 0.3, old)) as motet:
        await ready(motet)
        async with await motet.answer(ask("a")) as answer:
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
        async with await motet.answer(ask("a")) as answer:
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


def test_parts_are_frozen():
    parts = assemble(parse(NEW))
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.experts = {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts.compositions["a"].strategy = None


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
