"""Observers hear of every request, however it came, and touch none."""

import asyncio
import threading
import time

import httpx
import pytest
from tests.batch.helpers import line, run_batch
from tests.conftest import running, wait_for
from tests.operations.recording import Recording

from motet.config import parse
from motet.errors import ExpertError, UnknownModel
from motet.operations.base import UNKNOWN, Observer
from motet.operations.observers import Observers
from motet.service.motet import Motet
from motet.types import Request

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: broken, engine: fake, fail_after: 0}
  - {id: cut, engine: fake, tokens: [a, b], fail_after: 1}
  - {id: slow, engine: fake, tokens: [a, b], token_delay_s: 30}
routers: {both: {kind: constant, expert: broken, fallbacks: [echo]}}
compositions: {auto: {router: both}}
"""


def ask(model="auto", **fields):
    return Request(model=model, messages=({"role": "user", "content": "one two"},), **fields)


async def test_a_python_program_is_heard():
    heard = Recording()
    async with Motet(parse(FLEET), observers=[heard]) as motet:
        await motet.chat("auto", "one two")
        await motet.observers.flush()
    assert heard.names == ["began", "decided", "called", "called", "finished"]
    assert {composition for _, composition, _ in heard.events} == {"auto"}
    failed, answered = heard.of("called")
    assert failed.error and answered.expert == "echo" and answered.usage.prompt_tokens == 2
    (outcome,) = heard.of("finished")
    assert (outcome.status, outcome.author, outcome.usage) == ("ok", "echo", answered.usage)
    assert outcome.cost_usd == pytest.approx(6e-6)
    assert 0 <= outcome.first_chunk_s <= outcome.seconds


async def test_every_end_is_heard():
    heard = Recording()
    async with Motet(parse(FLEET), observers=[heard]) as motet:
        await motet.fleet.ready()
        with pytest.raises(UnknownModel):
            async with motet.answer(ask("made-up")):
                pass
        with pytest.raises(ExpertError):
            async with motet.answer(ask("cut")) as answer:
                async for _ in answer:
                    pass
        async with motet.answer(ask("slow")) as answer:
            await anext(answer)  # and leaves
        await motet.observers.flush()
    ends = [(name, told.status) for what, name, told in heard.events if what == "finished"]
    assert ends == [(UNKNOWN, "model_not_found"), ("cut", "expert_failed"), ("slow", "cancelled")]


def test_http_and_its_clients_that_leave_are_heard():
    heard = Recording()
    with running(FLEET) as service:
        service.motet.observers.add(heard)
        wait_for(lambda: service.get("/ready").json()["experts"]["slow"]["state"] == "ready")
        assert service.chat("one two").status_code == 200
        body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        with httpx.stream("POST", f"{service.url}/v1/chat/completions", json=body) as answer:
            next(answer.iter_lines())
        wait_for(lambda: len(heard.of("finished")) == 2)
    assert [outcome.status for outcome in heard.of("finished")] == ["ok", "cancelled"]


async def test_a_batch_is_heard(tmp_path):
    heard = Recording()
    lines = [
        line("q1", "hello"),
        line("q2", "a bee"),
        line("q3", "x", model="dead"),
        line("q4", model="made-up"),
    ]
    await run_batch(tmp_path, lines, observer=heard)
    assert len(heard.of("decided")) == 3
    ends = sorted((name, told.status) for what, name, told in heard.events if what == "finished")
    assert ends == [
        ("auto", "ok"), ("auto", "ok"), ("dead", "expert_rejected"), (UNKNOWN, "model_not_found"),
    ]  # fmt: skip
    assert heard.names.count("began") == 4
    assert {call.expert for call in heard.of("called")} == {"a", "b", "dead"}
    outcome = next(o for o in heard.of("finished") if o.author == "a")
    assert [call.expert for call in outcome.calls] == ["a"] and outcome.usage.total_tokens


class Failing(Observer):
    def called(self, request, composition, call):
        raise RuntimeError("no room")


class Blocking(Observer):
    def __init__(self):
        self.free = threading.Event()
        self.heard = 0

    def finished(self, request, composition, outcome):
        self.free.wait(30)
        self.heard += 1


async def test_one_that_fails_or_blocks_touches_no_answer_and_no_other(caplog):
    blocking, heard = Blocking(), Recording()
    async with Motet(parse(FLEET), observers=[Failing(), blocking, heard]) as motet:
        for _ in range(3):
            assert (await motet.chat("auto", "one two")).text == "one two"
        await motet.observers.flush(0.1)
        assert len(heard.of("finished")) == 3 and blocking.heard == 0
        assert "observer Failing failed" in caplog.text
        blocking.free.set()
        await motet.observers.flush()
        assert blocking.heard == 3


async def test_one_that_blocks_for_ever_holds_no_bound_of_memory_and_no_end(caplog):
    blocking = Blocking()
    observers = Observers([blocking], bound=10)
    for _ in range(50):
        observers.finished(ask(), "auto", None)
        await asyncio.sleep(0)
    assert observers.dropped >= 39
    assert "Blocking is too slow" in caplog.text
    began = time.monotonic()
    await asyncio.to_thread(observers.close)
    assert time.monotonic() - began < 10
    blocking.free.set()


async def test_one_that_blocks_keeps_nobody_waiting_for_another():
    blocking, heard = Blocking(), Recording()
    observers = Observers([blocking, heard])
    observers.finished(ask(), "auto", None)
    began = time.monotonic()
    await observers.flush(of=heard)
    assert time.monotonic() - began < 1.5 and heard.names == ["finished"]
    blocking.free.set()
    observers.close()


def test_one_object_hears_in_two_loops_in_turn_and_outside():
    others = set(threading.enumerate())
    heard = Recording()
    observers = Observers([heard])

    async def once():
        observers.began(ask(), "auto")
        await asyncio.to_thread(observers.close)

    asyncio.run(once())
    asyncio.run(once())
    observers.began(ask(), "auto")
    observers.close()
    assert heard.names == ["began"] * 3
    mine = [t for t in set(threading.enumerate()) - others if t.name == "observer"]
    for thread in mine:
        thread.join(5)
    assert not any(thread.is_alive() for thread in mine)


async def test_what_is_left_is_heard_at_the_end():
    heard = Recording()
    observers = Observers([heard])
    observers.began(ask(), "auto")
    observers.close()
    assert heard.names == ["began"]


async def test_an_answer_that_is_never_entered_never_began():
    heard = Recording()
    async with Motet(parse(FLEET), observers=[heard]) as motet:
        motet.answer(ask())
        await motet.observers.flush()
        assert heard.events == []
        await asyncio.wait_for(motet.pipeline.idle(), 1)
