"""A collector that is away, slow or choosy costs spans, which are counted, and nothing else."""

import logging
import threading

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.conftest import free_port, wait_for
from tests.operations.collector import collecting

from motet.config import parse
from motet.operations.export import Exporter
from motet.service.motet import Motet
from motet.transport.retry import Retry

QUICK = Retry(attempts=3, first_s=0.01, longest_s=0.02)


def exporter(url, headers=(), **options):
    scope = InstrumentationScope(name="motet")
    return Exporter(url, dict(headers), Resource(), scope, **{"retry": QUICK, **options})


def span(number):
    id = number.to_bytes(8)
    return Span(trace_id=id * 2, span_id=id, name=f"{number}")


def test_spans_go_together_with_their_headers():
    with collecting() as collector:
        found = exporter(f"{collector.url}/base/", {"authorization": "s3cret"})
        for number in range(1, 1001):
            found.put(span(number))
        spans = collector.wait(1000)
        assert [s.name for s in spans] == [f"{number}" for number in range(1, 1001)]
        assert set(collector.paths) == {"/base/v1/traces"} and len(collector.paths) < 10
        headers = {name.lower(): value for name, value in collector.headers[0].items()}
        assert headers["authorization"] == "s3cret"
        assert headers["content-type"] == "application/x-protobuf"
        found.close()
        assert found.dropped == 0


@pytest.mark.parametrize(("status", "asked"), [(503, 3), (429, 3), (400, 1), (401, 1)])
def test_what_may_pass_is_tried_again_and_the_rest_is_dropped(status, asked, caplog):
    with collecting() as collector:
        collector.status = status
        found = exporter(collector.url, {"authorization": "s3cret"})
        found.put(span(1))
        wait_for(lambda: found.dropped == 1)
        assert len(collector.paths) == asked
        found.put(span(2))
        wait_for(lambda: found.dropped == 2)
        found.close()
    assert caplog.text.count("misses spans") == 1 and f"status {status}" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_collector_that_comes_back_gets_what_waited():
    with collecting() as collector:
        collector.status = 503
        found = exporter(collector.url, retry=Retry(attempts=100, first_s=0.01, longest_s=0.02))
        found.put(span(1))
        wait_for(lambda: len(collector.paths) > 2)
        collector.status = 200
        collector.wait(1)
        found.close()
        assert found.dropped == 0


def test_what_the_collector_refuses_is_counted():
    with collecting() as collector:
        collector.rejects = 2
        found = exporter(collector.url)
        found.put(span(1))
        wait_for(lambda: found.dropped == 2)
        found.close()


def test_what_waits_has_a_bound():
    found = exporter(f"http://127.0.0.1:{free_port()}", bound=10, retry=Retry(9, 30.0, 30.0))
    for number in range(1, 101):
        found.put(span(number))
    assert found.dropped == 90
    found.close()
    wait_for(lambda: found.dropped == 100)


async def test_a_service_whose_collector_is_away_answers_and_ends(caplog):
    others = set(threading.enumerate())
    url = f"http://127.0.0.1:{free_port()}"
    text = f"version: 1\nexperts: [{{id: a, engine: fake}}]\ntelemetry: {{otlp: '{url}'}}\n"
    async with Motet(parse(text)) as motet:
        for _ in range(20):
            assert (await motet.chat("a", "hi")).text == "hi"
    wait_for(lambda: motet.observers.lost["Tracer"] == 60)
    assert f"the collector at {url} misses spans: ConnectError" in caplog.text
    assert all(record.levelno < logging.CRITICAL for record in caplog.records)
    wait_for(lambda: not any(t.name == "spans" for t in set(threading.enumerate()) - others))
