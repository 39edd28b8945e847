"""What Prometheus scrapes: requests, calls, tokens and cost, who is ready, and residency."""

from tests.conftest import running

from motet.operations.base import Outcome
from motet.operations.metrics import Metrics
from motet.types import (
    READY,
    Call,
    Caller,
    Choice,
    Decision,
    ExpertCard,
    Fleet,
    Health,
    Member,
    Purpose,
    Request,
    State,
    Usage,
)

ASK = Request(model="auto", prompt="hi")
FLEET = Fleet(
    [
        Member(ExpertCard(id="a", engine="fake"), READY),
        Member(ExpertCard(id="b", engine="fake"), Health(State.DOWN, "why")),
    ]
)


def lines(metrics):
    return metrics.render(FLEET).decode().splitlines()


def test_a_request_is_in_progress_until_it_has_ended():
    metrics = Metrics()
    metrics.began(ASK, "auto")
    assert "motet_requests_in_progress 1.0" in lines(metrics)
    metrics.finished(ASK, "auto", Outcome(status="ok", seconds=0.3, first_chunk_s=0.02))
    metrics.began(ASK, "auto")
    metrics.finished(ASK, "auto", Outcome(status="cancelled", seconds=0.3))
    said = lines(metrics)
    assert "motet_requests_in_progress 0.0" in said
    assert 'motet_requests_total{composition="auto",status="ok"} 1.0' in said
    assert 'motet_requests_total{composition="auto",status="cancelled"} 1.0' in said
    assert 'motet_request_seconds_count{composition="auto"} 2.0' in said
    assert 'motet_request_seconds_bucket{composition="auto",le="0.25"} 0.0' in said
    # one that never said anything has no first piece
    assert 'motet_first_chunk_seconds_count{composition="auto"} 1.0' in said


def test_calls_are_counted_by_expert_with_what_they_took():
    metrics = Metrics()
    metrics.called(ASK, "auto", Call("a", 0.0, usage=Usage(3, 4), cost_usd=0.5))
    metrics.called(ASK, "auto", Call("a", 0.0, usage=Usage(1, 0), error="broke."))
    metrics.called(ASK, "auto", Call("a", 0.0, error="stopped", code="cancelled"))
    said = lines(metrics)
    assert 'motet_expert_calls_total{expert="a",outcome="stopped"} 1.0' in said
    assert 'motet_expert_calls_total{expert="a",outcome="ok"} 1.0' in said
    assert 'motet_expert_calls_total{expert="a",outcome="error"} 1.0' in said
    assert 'motet_tokens_total{direction="prompt",expert="a"} 4.0' in said
    assert 'motet_tokens_total{direction="completion",expert="a"} 4.0' in said
    assert 'motet_cost_usd_total{expert="a"} 0.5' in said


def test_who_is_ready_is_as_of_the_scrape():
    said = lines(Metrics())
    assert 'motet_expert_ready{expert="a"} 1.0' in said
    assert 'motet_expert_ready{expert="b"} 0.0' in said


def test_two_services_of_one_process_count_apart():
    one, two = Metrics(), Metrics()
    one.began(ASK, "auto")
    assert "motet_requests_in_progress 0.0" in lines(two)


def test_decisions_are_counted_by_whom_they_chose_and_how_sure_they_were():
    metrics = Metrics()
    sure = Decision(choices=(Choice("a"), Choice("b")), router="r", reason="x", confidence=0.85)
    metrics.decided(ASK, "auto", sure)
    metrics.finished(ASK, "auto", Outcome(status="ok", seconds=0.3, decided_s=0.003))
    said = lines(metrics)
    assert 'motet_decisions_total{composition="auto",expert="a",router="r"} 1.0' in said
    assert 'motet_decision_confidence_bucket{le="0.8",router="r"} 0.0' in said
    assert 'motet_decision_confidence_bucket{le="0.9",router="r"} 1.0' in said
    assert 'motet_decision_seconds_bucket{composition="auto",le="0.0025"} 0.0' in said
    assert 'motet_decision_seconds_bucket{composition="auto",le="0.005"} 1.0' in said


def test_a_call_is_timed_from_its_own_beginning():
    metrics = Metrics()
    metrics.called(ASK, "auto", Call("a", 10.0, 10.2, 12.0))
    metrics.called(ASK, "auto", Call("a", 10.0, 10.2, 90.0, error="broke."))
    said = lines(metrics)
    assert 'motet_expert_first_chunk_seconds_bucket{expert="a",le="0.25"} 2.0' in said
    assert 'motet_expert_call_seconds_sum{expert="a"} 2.0' in said  # a failure says nothing of it


def test_a_fallback_is_a_failure_that_another_made_good():
    metrics = Metrics()
    failed = Call("a", 0.0, error="broke.", code="expert_failed")
    late = Call("b", 0.0, error="stopped", code="cancelled")
    asked = Call("a", 0.0, error="broke.", code="expert_failed", purpose=Purpose.ROUTE)
    calls = (asked, failed, late, Call("c", 0.0, 0.1, 0.2))
    metrics.finished(ASK, "auto", Outcome(status="ok", seconds=0.3, calls=calls))
    metrics.finished(ASK, "auto", Outcome(status="expert_failed", seconds=0.3, calls=(failed,)))
    said = [line for line in lines(metrics) if line.startswith("motet_fallbacks_total{")]
    assert said == ['motet_fallbacks_total{composition="auto",expert="a"} 1.0']


def test_keys_are_counted_up_to_a_bound():
    metrics = Metrics()
    outcome = Outcome(
        status="ok", seconds=0.3, calls=(Call("a", 0.0, usage=Usage(3, 4), cost_usd=0.5),)
    )
    for number in range(300):
        caller = Caller(key=f"k{number}", tenant="lab")
        metrics.finished(Request(model="auto", prompt="hi", caller=caller), "auto", outcome)
    metrics.finished(ASK, "auto", outcome)  # nobody's
    said = [line for line in lines(metrics) if line.startswith("motet_key_")]
    assert 'motet_key_requests_total{key="k7",status="ok",tenant="lab"} 1.0' in said
    assert 'motet_key_requests_total{key="others",status="ok",tenant="others"} 100.0' in said
    assert 'motet_key_tokens_total{key="others",tenant="others"} 700.0' in said
    assert 'motet_key_cost_usd_total{key="k0",tenant="lab"} 0.5' in said
    assert len([line for line in said if line.startswith("motet_key_requests_total")]) == 201


def test_who_waits_is_read_when_a_call_ends_and_at_the_scrape():
    waiting = {"a": 3, "b": 1}
    metrics = Metrics(lambda expert: waiting[expert])
    metrics.called(ASK, "auto", Call("a", 0.0, 0.1, 0.2))
    waiting["b"] = 2
    said = lines(metrics)
    assert 'motet_expert_waiting{expert="a"} 3.0' in said
    assert 'motet_expert_waiting{expert="b"} 2.0' in said


def test_what_observers_miss_is_counted_once():
    metrics = Metrics()
    metrics.render(FLEET, {"Tracer": 3})
    for _ in range(2):
        text = metrics.render(FLEET, {"Tracer": 5}).decode()
    assert 'motet_observer_dropped_total{observer="Tracer"} 5.0' in text


def test_metrics_follow_a_new_config():
    text = "version: 1\nexperts: [{{id: {}, engine: fake}}, {{id: b, engine: fake}}]\n"
    with running(text.format("a")) as service:
        assert service.chat(model="a").is_success
        assert service.post("/admin/config", {"config": text.format("new")}).is_success
        assert service.chat(model="new").is_success
        said = service.get("/metrics").text.splitlines()
    assert 'motet_expert_ready{expert="new"} 1.0' in said
    assert not any(line.startswith('motet_expert_ready{expert="a"}') for line in said)
    assert 'motet_requests_total{composition="a",status="ok"} 1.0' in said
    assert 'motet_requests_total{composition="new",status="ok"} 2.0' in said  # its first prompt too
