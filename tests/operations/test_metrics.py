"""What Prometheus scrapes: requests, calls, tokens and cost, who is ready, and residency."""

from motet.operations.base import Outcome
from motet.operations.metrics import Metrics, SwapMetrics
from motet.types import READY, Call, ExpertCard, Fleet, Health, Member, Request, State, Usage

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
    said = lines(metrics)
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


def test_residency():
    metrics = Metrics()
    swaps = SwapMetrics(metrics.registry)
    swaps.leased("a", "waited", 0.3)
    swaps.leased("a", "refused", 45.0)
    swaps.loaded("a", "ok", 2.0)
    swaps.loaded("a", "failed", 9.0)
    swaps.unloaded("b")
    swaps.holds(1024, 4096)
    said = lines(metrics)
    assert 'motet_residency_leases_total{expert="a",outcome="refused"} 1.0' in said
    assert 'motet_residency_wait_seconds_count{expert="a"} 1.0' in said  # a refusal got no place
    assert 'motet_residency_loads_total{engine="a",outcome="failed"} 1.0' in said
    assert 'motet_residency_load_seconds_sum{engine="a"} 2.0' in said
    assert 'motet_residency_evictions_total{engine="b"} 1.0' in said
    assert 'motet_residency_bytes{of="used"} 1024.0' in said
    assert 'motet_residency_bytes{of="budget"} 4096.0' in said
