"""The openai engine against a scripted host in the place of the HTTP client, and a real socket."""

import itertools
import json
import math

import pytest
from tests.conftest import free_port
from tests.hosting import Played, unreachable

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import (
    ConfigError,
    ContextLengthExceeded,
    ExpertError,
    ExpertOverloaded,
    ExpertRejected,
    ExpertTimeout,
    ExpertUnavailable,
)
from motet.experts.openai import OpenAIExpert
from motet.transport.breaker import Breaker
from motet.transport.retry import Retry
from motet.types import Request, State, Usage

ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}  # fmt: skip


_HOSTS = itertools.count()


async def expert(*answers, options="", **more):
    host = Played(*answers)
    # A name of its own: experts of one host share what is known of it.
    url = f"http://far{next(_HOSTS)}/v1"
    text = f"version: 1\nexperts: [{{id: far, engine: openai, url: '{url}', model: m{options}}}]"

    def make(entry, options, setting):
        retry = Retry(options.retries + 1, first_s=0.001, longest_s=0.002)
        return OpenAIExpert(entry, options, setting, connect=lambda _: host, retry=retry, **more)

    found = assemble(parse(text, env={"KEY": "s3cret"}), make).experts["far"]
    await found.start()
    return found, host


def ask(**fields):
    return Request(model="auto", messages=({"role": "user", "content": "x"},), **fields)


async def read(found, request):
    return [chunk async for chunk in found.stream(request)]


def sse(*payloads, done=True):
    lines = [f"data: {json.dumps(payload)}\r\n\r\n" for payload in payloads]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def delta(text, **fields):
    return {"choices": [{"index": 0, "delta": {"content": text}, **fields}]}


async def test_whole_answer():
    found, host = await expert((200, ANSWER), options=", api_key: '${KEY}'")
    chunks = await read(found, ask(max_tokens=5, stop=("a",), seed=1, extra={"top_k": 4}))
    assert [c.text for c in chunks] == ["hi", ""]
    assert chunks[-1].usage == Usage(3, 1)
    assert host.requests[0].url.endswith("/v1/chat/completions")
    assert host.requests[0].headers["authorization"] == "Bearer s3cret"
    assert host.requests[0].headers["host"] in host.requests[0].url
    assert host.body() == {
        "top_k": 4, "model": "m", "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 5, "seed": 1, "stop": ["a"],
    }  # fmt: skip


async def test_request_fields_travel():
    found, host = await expert((200, ANSWER))
    tool = {"type": "function", "function": {"name": "f"}}
    await read(found, ask(tools=(tool,), tool_choice="auto", top_logprobs=2, n=2, response_format={"type": "json_object"}))  # fmt: skip
    body = host.body()
    assert body["tools"] == [tool] and body["tool_choice"] == "auto"
    assert body["logprobs"] is True and body["top_logprobs"] == 2
    assert body["n"] == 2 and body["response_format"] == {"type": "json_object"}
    await read(found, Request(model="auto", prompt="once", top_logprobs=3))
    assert host.requests[-1].url.endswith("/v1/completions")
    assert host.body()["prompt"] == "once" and host.body()["logprobs"] == 3


async def test_stream():
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    content = sse(delta("a"), delta("b", finish_reason="stop"), usage)
    found, host = await expert((200, content))
    chunks = await read(found, ask(stream=True))
    assert "".join(c.text for c in chunks) == "ab"
    assert chunks[1].finish == "stop" and chunks[-1].usage == Usage(3, 2)
    assert host.body()["stream_options"] == {"include_usage": True}


async def test_tool_calls_and_reasoning():
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    event = {"choices": [{"index": 0, "delta": {"tool_calls": [call], "reasoning_content": "hm"}}]}
    found, _ = await expert((200, sse(event)))
    (chunk,) = await read(found, ask(stream=True))
    assert chunk.tool_calls == (call,) and chunk.reasoning == "hm"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (sse(delta("a"), done=False), "ended before it was complete"),
        (sse(delta("a"), {"error": {"message": "boom", "code": 500}}), "boom"),
        (b"data: {nonsense\n\n", "not JSON"),
        (b"data: [1, 2]\n\n", "list where an object belongs"),
        (sse(delta("a"), done=False) + b"data: {", "not JSON"),
    ],
)
async def test_broken_streams(content, message):
    found, host = await expert((200, content))
    with pytest.raises(ExpertError, match=message):
        await read(found, ask(stream=True))
    assert len(host.requests) == 1  # words may be out: nothing is asked twice


OVERFLOW = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "bad field", "code": None}}, ExpertRejected),
        (422, {"detail": "no"}, ExpertRejected),
        (400, {"error": {"message": OVERFLOW, "code": "context_length_exceeded"}}, ContextLengthExceeded),
        (401, {"error": {"message": "bad key sk-123"}}, ExpertError),
        (408, {}, ExpertTimeout),
        (418, b"teapot", ExpertRejected),
        (501, b"<html>", ExpertError),
    ],
)  # fmt: skip
async def test_errors_that_are_not_retried(status, body, kind):
    found, host = await expert((status, body))
    with pytest.raises(kind) as caught:
        await read(found, ask())
    assert type(caught.value) is kind
    assert "sk-123" not in str(caught.value)
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    "message",
    [OVERFLOW, "max_tokens=5000 cannot be greater than max_model_len=4096. (parameter=max_tokens)"],
)
async def test_overflow_numbers(message):
    found, _ = await expert((400, {"error": {"message": message}}))
    with pytest.raises(ContextLengthExceeded) as caught:
        await read(found, ask())
    assert (caught.value.limit, caught.value.wanted) == (4096, 5000)


@pytest.mark.parametrize("failure", [(500, {}), (503, {}), (429, {}), unreachable()])
async def test_retries_until_it_works(failure):
    found, host = await expert(failure, failure, (200, ANSWER))
    assert (await read(found, ask()))[0].text == "hi"
    assert len(host.requests) == 3


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ((500, {}), ExpertError),
        ((429, {}, {"retry-after": "0.001"}), ExpertOverloaded),
        (unreachable(), ExpertUnavailable),
    ],
)
async def test_retries_are_bounded(failure, kind):
    found, host = await expert(failure, options=", retries: 1")
    with pytest.raises(kind) as caught:
        await read(found, ask())
    assert len(host.requests) == 2
    if kind is ExpertOverloaded:
        assert caught.value.retry_after == 0.001


async def test_who_is_told_to_wait_for_long_gives_up_at_once():
    far, host = await expert((429, {}, {"retry-after": "7"}))
    with pytest.raises(ExpertOverloaded) as caught:
        await read(far, ask())
    assert caught.value.retry_after == 7 and len(host.requests) == 1


async def test_silence_is_a_timeout():
    found, host = await expert(TimeoutError("x"))
    with pytest.raises(ExpertTimeout, match="silent for 60 s"):
        await read(found, ask())
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        ((200, {}), State.READY, ""),
        ((404, {}), State.READY, ""),
        ((401, {}), State.READY, "/models answers 401"),
        ((501, {}), State.READY, "/models answers 501"),
        (TimeoutError("x"), State.READY, "does not answer"),
        (unreachable(), State.DOWN, "cannot be reached"),
    ],
)
async def test_health(answer, state, reason):
    found, _ = await expert(answer)
    health = await found.health()
    assert health.state is state and reason in health.reason


async def test_health_is_asked_rarely_of_a_host_that_answers():
    found, host = await expert((200, ANSWER))
    await read(found, ask())
    await found.health()
    assert len(host.requests) == 1


async def test_real_sockets(service):
    """Motet in front of Motet: the same words, errors and usage come through."""
    text = (
        f"version: 1\nexperts: [{{id: far, engine: openai, url: '{service.url}/v1', model: shaky}}, "
        f"{{id: broken, engine: openai, url: '{service.url}/v1', model: breaks, retries: 0}}, "
        "{id: nobody, engine: openai, url: 'http://127.0.0.1:9/v1', model: m, retries: 0}]"
    )
    experts = assemble(parse(text)).experts
    for found in experts.values():
        await found.start()
    try:
        for stream in (False, True):
            chunks = await read(experts["far"], ask(stream=stream))
            assert "".join(c.text for c in chunks) == "x"
            assert chunks[-1].usage == Usage(1, 1)
        with pytest.raises(ExpertError, match="scripted failure"):
            await read(experts["broken"], ask(stream=True))
        with pytest.raises(ExpertUnavailable, match="cannot be reached"):
            await read(experts["nobody"], ask())
        assert (await experts["nobody"].health()).state is State.DOWN
        assert (await experts["far"].health()).ready
    finally:
        for found in experts.values():
            await found.close()


async def test_one_that_fails_again_and_again_rests_and_is_tried_by_one():
    now = [0.0]
    breaker = Breaker(2, rest_s=10.0, now=lambda: now[0])
    found, host = await expert(
        (500, {}), (500, {}), (500, {}), (200, ANSWER), options=", retries: 0", breaker=breaker
    )
    for _ in range(2):
        with pytest.raises(ExpertError):
            await read(found, ask())
    with pytest.raises(ExpertUnavailable, match="several times in a row") as caught:
        await read(found, ask())
    assert caught.value.retry_after == 10.0 and len(host.requests) == 2
    now[0] = 11.0
    with pytest.raises(ExpertError):
        await read(found, ask())
    now[0] = 22.0  # the second rest is twice as long
    with pytest.raises(ExpertUnavailable):
        await read(found, ask())
    now[0] = 32.0
    assert (await read(found, ask()))[0].text == "hi"
    assert (await read(found, ask()))[0].text == "hi" and len(host.requests) == 5


@pytest.mark.parametrize("status", [429, 400])
async def test_busy_or_refusing_is_no_failure(status):
    found, host = await expert((status, {}), options=", retries: 0", breaker=Breaker(1))
    for _ in range(3):
        with pytest.raises(ExpertError):
            await read(found, ask())
    assert len(host.requests) == 3


async def test_a_prompt_that_is_too_long_is_no_failure():
    fault = {"error": {"message": "maximum context length is 8 tokens", "code": None}}
    now = [0.0]
    breaker = Breaker(1, rest_s=10.0, now=lambda: now[0])
    found, host = await expert(
        (500, {}), (400, fault), (200, ANSWER), options=", retries: 0", breaker=breaker
    )
    with pytest.raises(ExpertError):
        await read(found, ask())
    now[0] = 10.0
    with pytest.raises(ContextLengthExceeded):
        await read(found, ask())
    assert (await read(found, ask()))[0].text == "hi" and len(host.requests) == 3


async def test_words_that_are_out_are_never_said_again():
    broken = sse(delta("a"), {"error": {"message": "the engine is gone", "code": 503}}, done=False)
    found, host = await expert((200, broken), (200, sse(delta("a", finish_reason="stop"))))
    said = []
    with pytest.raises(ExpertUnavailable, match="engine is gone"):
        async for chunk in found.stream(ask(stream=True)):
            said.append(chunk.text)
    assert said == ["a"] and len(host.requests) == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("said", [True, False])
async def test_an_answer_is_read_as_what_it_is(stream, said):
    content = sse(delta("hi", finish_reason="stop"), done=said) if said else ANSWER
    far, _ = await expert((200, content))
    chunks = await read(far, ask(stream=stream))
    assert "".join(chunk.text for chunk in chunks) == "hi"


async def test_a_stream_that_says_why_it_ended_is_whole_without_its_end_mark():
    far, _ = await expert((200, sse(delta("a"), delta("b", finish_reason="stop"), done=False)))
    assert "".join(c.text for c in await read(far, ask(stream=True))) == "ab"


@pytest.mark.parametrize("content", [b"", b"   ", b"<html>", b"null", b"data: \n\n"])
async def test_what_is_no_answer_is_a_failure(content):
    far, host = await expert((200, content))
    with pytest.raises(ExpertError):
        await read(far, ask())
    assert len(host.requests) == 1


async def test_a_line_without_end_is_a_failure_before_it_fills_the_memory():
    far, _ = await expert((200, b"data: " + b"x" * 3000), options=", max_answer_bytes: 2KiB")
    with pytest.raises(ExpertError, match="more than 2048 bytes"):
        await read(far, ask(stream=True))


async def test_fields_that_the_host_refuses_are_left_out_from_then_on():
    refusal = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs"}]}
    content = sse(delta("a", finish_reason="stop"))
    far, host = await expert((422, refusal), (200, content))
    for _ in range(2):
        await read(far, ask(stream=True))
    assert ["stream_options" in host.body(number) for number in range(3)] == [True, False, False]


async def test_headers_go_out_and_neither_they_nor_the_key_are_told():
    options = ", api_key: '${KEY}', headers: {X-Org: '${KEY}2'}"
    fault = {"error": {"message": "key s3cret of org s3cret2 is spent"}}
    far, host = await expert((402, fault), options=options)
    with pytest.raises(ExpertRejected) as caught:
        await read(far, ask())
    assert "s3cret" not in str(caught.value)
    assert host.requests[0].headers["x-org"] == "s3cret2"


@pytest.mark.parametrize(
    "options",
    [', api_key: "a\\nb"', ", headers: {'a b': x}", ", headers: {Host: x}", ", headers: {X-A: é}"],
)
async def test_what_no_header_can_hold_is_refused_at_load(options):
    with pytest.raises(ConfigError):
        await expert((200, ANSWER), options=options)


async def test_white_space_around_a_key_is_no_part_of_it():
    far, host = await expert((200, ANSWER), options=', api_key: " ${KEY}\\n"')
    await read(far, ask())
    assert host.requests[0].headers["authorization"] == "Bearer s3cret"


async def test_a_busy_host_is_not_down():
    far, host = await expert((200, ANSWER))
    far._reached = -math.inf
    reply = await far._asked(ask())
    host.answers = [TimeoutError("x")]
    far._reached = -math.inf
    assert (await far.health()).ready and len(host.requests) == 1
    reply.close()


async def test_silence_after_a_silent_answer_is_down():
    far, host = await expert(TimeoutError("x"))
    with pytest.raises(ExpertTimeout):
        await read(far, ask())
    assert (await far.health()).state is State.DOWN
    host.answers = [(200, {})]
    assert (await far.health()).ready


async def test_who_rests_is_shown_as_down():
    far, _ = await expert((500, {}), options=", retries: 0", breaker=Breaker(1, rest_s=10.0))
    with pytest.raises(ExpertError):
        await read(far, ask())
    health = await far.health()
    assert health.state is State.DOWN and "rests" in health.reason


async def test_experts_of_one_host_learn_together_that_it_is_gone():
    port = free_port()
    text = "version: 1\nexperts:\n" + "".join(
        f"  - {{id: e{n}, engine: openai, url: 'http://127.0.0.1:{port}/v{n}', model: m, retries: 0}}\n"
        for n in range(2)
    )
    experts = assemble(parse(text)).experts
    for each in experts.values():
        await each.start()
    for _ in range(5):
        with pytest.raises(ExpertUnavailable, match="cannot be reached"):
            await read(experts["e0"], ask())
    with pytest.raises(ExpertUnavailable, match="not asked for a moment"):
        await read(experts["e1"], ask())
    for each in experts.values():
        await each.close()


@pytest.mark.parametrize("name", ["ca_file", "client_certificate", "client_key"])
def test_a_certificate_that_is_not_there_is_told_with_its_line(name, tmp_path):
    text = f"version: 1\nexperts:\n  - id: far\n    engine: openai\n    url: https://far\n    model: m\n    {name}: gone.pem\n"
    with pytest.raises(
        ConfigError, match=rf"experts.yaml:7: experts\[0\].{name}: there is no file"
    ):
        assemble(parse(text, folder=tmp_path))
