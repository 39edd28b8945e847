"""One tree of spans a request, at a real collector, however the request came and ended."""

import asyncio
import subprocess
import sys

import httpx
import orjson
import pytest
from tests.batch.helpers import line
from tests.conftest import running, wait_for
from tests.hosting import hosting
from tests.operations.collector import collecting

from motet.config import parse
from motet.errors import ExpertError
from motet.service.motet import Motet
from motet.types import Request, SpanContext

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = PARENT.split("-")[1:3]
FLEET = """
version: 1
experts:
  - {{id: a, engine: fake, tokens: ["the secret answer"], price: {{input: 1, output: 2}}}}
  - {{id: b, engine: fake, tokens: [other]}}
  - {{id: broken, engine: fake, fail_after: 0}}
  - {{id: cut, engine: fake, tokens: [x, y], fail_after: 1}}
  - {{id: slow, engine: fake, tokens: [x, y], token_delay_s: 30}}
{more}routers:
  trying: {{kind: constant, expert: broken, fallbacks: [a]}}
  all: {{kind: constant, expert: a, fallbacks: [b]}}
  asking: {{kind: llm, expert: namer, experts: [a, b]}}
compositions:
  auto: {{router: trying}}
  panel: {{router: all, strategy: {{kind: aggregate, aggregator: b}}}}
telemetry: {{otlp: "{url}"{telemetry}}}
"""
QUESTION = "a question that no span holds"


def fleet(collector, telemetry="", more=""):
    text = FLEET.format(url=collector.url, telemetry=telemetry, more=more)
    return text.replace("  asking: {kind: llm, expert: namer, experts: [a, b]}\n", "")


def ask(model="auto", **fields):
    return Request(model=model, messages=({"role": "user", "content": QUESTION},), **fields)


async def answered(motet, request):
    async with motet.answer(request) as answer:
        return [chunk async for chunk in answer]


def test_a_request_is_one_tree_below_its_client():
    with collecting() as collector, running(fleet(collector)) as service:
        headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
        body = {"model": "auto", "messages": [{"role": "user", "content": QUESTION}]}
        answer = service.post("/v1/chat/completions", body, headers=headers)
        assert answer.status_code == 200
        root, below = collector.tree(4)
        assert (root.trace_id, root.parent, root.state) == (TRACE, SPAN, "vendor=1")
        assert root.name == "invoke_workflow auto" and root.status.code == 0
        about = root.attributes
        assert about["motet.request.id"] == answer.headers["x-motet-request-id"]
        assert about["motet.decision.id"] == answer.headers["x-motet-decision-id"]
        assert about["gen_ai.response.model"] == "a" and about["motet.experts"] == ["broken", "a"]
        assert about["motet.cost_usd"] > 0 and root.resource["service.name"] == "motet"
        decision, failed, said = below
        assert decision.name == "decide trying"
        assert failed.name == "chat broken" and failed.status.code == 2
        assert failed.attributes["error.type"] == "expert_failed"
        assert said.name == "chat a" and said.kind == 3
        about = said.attributes
        assert about["gen_ai.operation.name"] == "chat"
        assert about["gen_ai.request.model"] == about["gen_ai.response.model"] == "a"
        assert about["gen_ai.response.finish_reasons"] == ["stop"]
        assert about["gen_ai.usage.input_tokens"] > 0 < about["gen_ai.usage.output_tokens"]
        assert decision.end <= failed.start <= failed.end <= said.start
        for span in [root, *below]:
            assert QUESTION.encode() not in span.raw and b"secret" not in span.raw


def test_a_body_says_nothing_of_traces():
    with collecting() as collector, running(fleet(collector)) as service:
        assert service.chat(QUESTION, trace={"trace_id": TRACE}, traceparent=PARENT).is_success
        root, _ = collector.tree(4)
        assert root.parent == "" and root.trace_id != TRACE


async def test_calls_of_a_panel_stand_beside_each_other():
    with collecting() as collector:
        async with Motet(parse(fleet(collector))) as motet:
            await motet.fleet.ready()
            await answered(motet, ask("panel"))
        root, below = collector.tree(5)
        assert sorted(span.name for span in below) == [
            "chat a", "chat b", "chat b", "decide all",
        ]  # fmt: skip
        assert root.attributes["motet.experts"] == ["a", "b"]


async def test_a_request_that_fails_in_the_middle_says_so():
    with collecting() as collector:
        async with Motet(parse(fleet(collector))) as motet:
            await motet.fleet.ready()
            with pytest.raises(ExpertError):
                await answered(motet, ask("cut"))
        root, below = collector.tree(3)
        assert root.status.code == 2 and root.attributes["error.type"] == "expert_failed"
        assert below[1].status.code == 2


def test_a_cancelled_stream_ends_its_spans():
    with collecting() as collector, running(fleet(collector)) as service:
        wait_for(lambda: service.get("/ready").json()["experts"]["slow"]["state"] == "ready")
        body = {"model": "slow", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        with httpx.stream("POST", f"{service.url}/v1/chat/completions", json=body) as answer:
            next(answer.iter_lines())
        root, below = collector.tree(3)
        assert root.attributes["error.type"] == root.attributes["motet.status"] == "cancelled"
        assert root.attributes["gen_ai.request.stream"] is True and root.status.code == 0
        (call,) = (span for span in below if span.name == "chat slow")
        assert call.attributes["error.type"] == "cancelled" and call.status.code == 0


async def test_an_expert_behind_a_url_stands_below_its_call():
    heard = []

    async def handle(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
        if head.startswith("POST"):
            heard.append(dict(h.split(": ", 1) for h in head.lower().splitlines()[1:] if h))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
        await writer.drain()

    async with hosting(handle) as port:
        more = f"  - {{id: far, engine: openai, url: 'http://127.0.0.1:{port}', model: m}}\n"
        with collecting() as collector:
            async with Motet(parse(fleet(collector, more=more))) as motet:
                await motet.fleet.settled("far")
                trace = SpanContext.read(PARENT, "vendor=1")
                await answered(motet, ask("far", trace=trace))
            root, below = collector.tree(3)
    (call,) = (span for span in below if span.name == "chat far")
    assert heard[0]["traceparent"] == f"00-{TRACE}-{call.id}-01"
    assert heard[0]["tracestate"] == "vendor=1" and root.parent == SPAN


async def test_a_share_is_kept_and_a_client_decides_for_its_own():
    with collecting() as collector:
        async with Motet(parse(fleet(collector, ", sample: 0.25"))) as motet:
            await motet.fleet.ready()
            requests = [ask("a") for _ in range(400)]
            for request in requests:
                await answered(motet, request)
            span = motet.tracing.span_of
            kept = [request.id for request in requests if span(request).sampled]
            assert 60 < len(kept) < 140
            unkept = SpanContext.read(PARENT.replace("-01", "-00"))
            await answered(motet, ask("a", trace=unkept))
            await answered(motet, ask("a", trace=SpanContext.read(PARENT), id="req-mine"))
        spans = collector.wait(3 * len(kept) + 3)
    roots = [s.attributes["motet.request.id"] for s in spans if s.name.startswith("invoke")]
    assert roots == [*kept, "req-mine"] and len(spans) == 3 * len(roots)


def test_lines_of_a_batch_are_traced():
    with collecting() as collector, running(fleet(collector)) as service:
        content = b"\n".join(
            map(orjson.dumps, [line("q1", QUESTION), line("q2", QUESTION, model="b")])
        )
        files = {"file": ("in.jsonl", content), "purpose": (None, "batch")}
        file = httpx.post(f"{service.url}/v1/files", files=files).json()["id"]
        body = {
            "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h",
        }  # fmt: skip
        assert service.post("/v1/batches", body).is_success
        spans = collector.wait(5, 30)
        roots = {s.name: s for s in spans if not s.parent}
        assert set(roots) == {"invoke_workflow auto", "invoke_workflow b"}
        names = {(s.name, s.parent) for s in spans if s.parent}
        auto, b = (roots[f"invoke_workflow {name}"].id for name in ("auto", "b"))
        assert names == {("chat broken", auto), ("chat a", auto), ("chat b", b)}


async def test_a_decision_that_nobody_waits_for_is_no_tree():
    with collecting() as collector:
        async with Motet(parse(fleet(collector))) as motet:
            await motet.fleet.ready()
            await motet.route(ask())
            await answered(motet, ask("a"))
        assert len(collector.wait(3)) == 3


def test_whoever_traces_nothing_loads_nothing_for_it():
    code = (
        "import sys, asyncio, motet.api\nfrom motet.config import parse\n"
        "from motet.service.motet import Motet\n"
        "motet.api.create_app(Motet(parse('version: 1\\nexperts: [{id: a, engine: fake}]')))\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'google'))])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("said", "is_good"),
    [
        (PARENT, True),
        (PARENT.replace("00-", "cc-", 1) + "-more", True),
        (PARENT + "-more", False),
        (PARENT.upper(), False),
        (PARENT.replace("00-", "ff-", 1), False),
        (PARENT.replace(TRACE, "0" * 32), False),
        (PARENT.replace(SPAN, "0" * 16), False),
        ("", False),
        ("x" * 10_000, False),
    ],
)
def test_what_is_no_traceparent_is_none(said, is_good):
    assert (SpanContext.read(said) is not None) == is_good


def test_a_state_that_no_header_holds_is_not_passed_on():
    for state in ("a=\r\nx: y", "ä", "x" * 513):
        assert SpanContext.read(PARENT, state).headers == {"traceparent": PARENT}


async def test_a_tracer_of_one_object_goes_on_after_a_pause():
    with collecting() as collector:
        motet = Motet(parse(fleet(collector)))
        for number in (1, 2):
            async with motet:
                await motet.fleet.ready()
                await asyncio.wait_for(answered(motet, ask("a")), 5)
            assert len(collector.wait(3 * number)) == 3 * number
