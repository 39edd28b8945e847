"""One relay for every strategy: first chunk in its bound, fallback before it, errors after it."""

import asyncio
from dataclasses import replace

import pytest

from motet.composer.calls import Calls
from motet.composer.relay import relay
from motet.config import Limits
from motet.errors import ExpertError, ExpertTimeout, MotetError, NoExpertAvailable
from motet.types import Chunk, ExpertCard, Purpose, Request, Usage

ASK = Request(model="m", prompt="hi", stream=True)


class Expert:
    """Streams what it is given; an exception is raised, a number waited for."""

    def __init__(self, name, *script):
        self.card = ExpertCard(id=name, engine="x")
        self.script = script

    async def stream(self, request):
        for each in self.script:
            if isinstance(each, BaseException):
                raise each
            if isinstance(each, float):
                await asyncio.sleep(each)
            else:
                yield each


async def sent(*experts, first_chunk_s=5.0):
    """Return what is relayed, the calls, and how it ended."""
    calls = Calls({expert.card.id: expert for expert in experts}, Limits())
    turns = [(expert.card.id, ASK) for expert in experts]
    said, error = [], None
    try:
        async for chunk in relay(turns, calls, first_chunk_s=first_chunk_s):
            said.append(chunk)
    except MotetError as failure:
        error = failure
    return "".join(chunk.text for chunk in said), calls, error


GOOD = Expert("good", Chunk(text="fine"), Chunk(finish="stop"), Chunk(usage=Usage(1, 1)))


@pytest.mark.parametrize(
    "script",
    [
        (),
        (Chunk(usage=Usage(3, 0)),),
        (ExpertError("bad", "no."),),
        (RuntimeError("of its own"),),
        (KeyError("of its own"),),
        (TimeoutError(),),
        (asyncio.CancelledError(),),  # of something that the engine waited for
        (30.0, Chunk(text="late")),
        (Chunk(usage=Usage(3, 0)), 30.0),
        (
            Chunk(),
            ExpertError("bad", "no."),
        ),
        (Chunk(), Chunk(usage=Usage(3, 0))),
    ],
)
async def test_whoever_does_not_begin_is_replaced(script):
    text, calls, error = await sent(Expert("bad", *script), GOOD, first_chunk_s=0.05)
    assert (text, error, calls.author) == ("fine", None, "good")
    assert [call.expert for call in calls.trace] == ["bad", "good"]


async def test_what_began_is_not_replaced():
    text, calls, error = await sent(Expert("bad", Chunk(text="be"), RuntimeError("x")), GOOD)
    assert text == "be" and isinstance(error, ExpertError) and calls.author == "bad"
    assert calls.trace[0].error == "RuntimeError: x"


async def test_a_slow_piece_after_the_first_is_waited_for():
    slow = Expert("slow", Chunk(text="a"), 0.2, Chunk(text="b"))
    assert (await sent(slow, GOOD, first_chunk_s=0.05))[0] == "ab"


async def test_an_empty_stream_is_said_where_nobody_is_left():
    *_, error = await sent(Expert("a"))
    assert isinstance(error, ExpertError) and "ended without an answer" in str(error)
    *_, error = await sent(Expert("a"), Expert("b", 30.0), first_chunk_s=0.05)
    assert isinstance(error, NoExpertAvailable) and "did not begin within 0.05 s" in str(error)


async def test_tokens_of_an_empty_stream_are_counted():
    _, calls, _ = await sent(Expert("bad", Chunk(usage=Usage(3, 0))), GOOD)
    assert calls.usage == Usage(4, 1)


async def test_a_failure_in_an_engines_own_way_is_logged_and_tells_no_client(caplog):
    *_, error = await sent(Expert("a", ValueError("s3cret")))
    assert "s3cret" not in str(error) and "s3cret" in caplog.text


async def test_a_time_out_says_which(caplog):
    *_, error = await sent(Expert("a", 30.0), first_chunk_s=0.05)
    assert isinstance(error, ExpertTimeout)


async def test_what_a_router_asks_is_traced_apart():
    calls = Calls({"good": GOOD}, Limits(expert_calls=1))
    assert await calls.ask("good", ASK) == "fine"
    assert calls.trace[0].purpose is Purpose.ROUTE and calls.usage == Usage(1, 1)
    assert calls.answered == ()
    with pytest.raises(MotetError, match="1 expert calls"):
        await calls.ask("good", ASK)


async def test_whoever_is_cut_short_is_traced_so():
    _, calls, _ = await sent(Expert("slow", 30.0), GOOD, first_chunk_s=0.05)
    assert [call.error for call in calls.trace] == ["stopped before its end", None]
    calls = Calls({"long": Expert("long", Chunk(text="a"), Chunk(text="b"))}, Limits())
    answer = relay([("long", ASK)], calls, first_chunk_s=5.0)
    await anext(answer)
    await answer.aclose()  # the client has left
    assert calls.trace[0].error == "stopped before its end"


async def test_a_call_left_behind_in_a_task_of_its_own_is_stopped():
    calls = Calls({"slow": Expert("slow", 30.0)}, Limits())
    left = asyncio.create_task(calls.ask("slow", ASK))
    await asyncio.sleep(0.01)
    await calls.close()
    assert left.cancelled() and calls.trace[0].error == "stopped before its end"


async def test_who_is_asked_for_no_stream_is_replaced_until_all_is_there():
    broken = Expert("broken", Chunk(text="so far"), ExpertError("broken", "no more."))
    calls = Calls({"broken": broken, "good": GOOD}, Limits())
    turns = [(name, replace(ASK, stream=False)) for name in ("broken", "good")]
    said = [chunk.text async for chunk in relay(turns, calls, first_chunk_s=5.0)]
    assert "".join(said) == "fine" and calls.author == "good"
    assert [call.error is None for call in calls.trace] == [False, True]
