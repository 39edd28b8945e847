"""Whether it lives, whether it is ready and why not, and what an operator watches."""

from tests.conftest import running, wait_for


def test_health_and_readiness(service):
    assert service.get("/health").json()["status"] == "ok"
    wait_for(lambda: service.get("/ready").json()["experts"]["offline"]["state"] == "down")
    ready = service.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["complete"]
    assert ready.json()["experts"]["offline"]["reason"] == "gone fishing"


def test_not_ready_says_why():
    with running("version: 1\nexperts: [{id: a, engine: fake, ready_after_s: 60}]") as found:
        ready = found.get("/ready")
        assert ready.status_code == 503
        assert ready.headers["retry-after"]
        wait_for(lambda: "ready in" in found.get("/ready").text)
        answer = found.chat("x", model="a")
        assert answer.status_code == 503 and answer.headers["retry-after"]


def test_metrics(service):
    service.chat("hello")
    service.chat("hello", model="x" * 50)
    text = service.get("/metrics").text
    assert 'motet_requests_total{composition="auto",status="ok"}' in text
    assert 'motet_requests_total{composition="unknown",status="model_not_found"}' in text
    assert 'motet_tokens_total{direction="completion",expert="echo"}' in text
    assert 'motet_expert_ready{expert="offline"} 0.0' in text
    assert "x" * 50 not in text
