"""Traces on a real Ray: one tree a request, from the client through the ingress to pools."""

import json
import tempfile
from pathlib import Path

import httpx
import pytest
from tests.conftest import free_port, wait_for
from tests.e2e.conftest import served
from tests.operations.collector import collecting

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """\
version: 1
experts:
  - {{id: one, engine: fake-pool, tokens: [one]}}
  - {{id: two, engine: fake-pool, tokens: [two]}}
  - {{id: editor, engine: fake, tokens: [both]}}
routers: {{all: {{kind: constant, expert: one, fallbacks: [two]}}}}
compositions: {{panel: {{router: all, strategy: {{kind: aggregate, aggregator: editor}}}}}}
service: {{replicas: 2, port: {port}, health_interval_s: 0.2}}
telemetry: {{otlp: "{url}", logs: json, requests: true}}
"""
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def logged(request):
    """Return whether a replica has logged the end of a request, as JSON."""
    for file in Path(tempfile.gettempdir()).glob("ray/session_*/logs/worker-*.err"):
        for line in file.read_text(errors="replace").splitlines():
            if request in line and json.loads(line)["composition"] == "panel":
                return True
    return False


def test_a_panel_over_pools_is_one_tree_below_its_client(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "cache"))
    config = tmp_path / "experts.yaml"
    with collecting() as collector:
        config.write_text(CONFIG.format(port=free_port(), url=collector.url))
        with served(config, tmp_path / "log", "Press Ctrl-C", 180) as service:
            body = {"model": "panel", "messages": [{"role": "user", "content": "x"}]}

            def ask(**headers):
                url = f"{service.url}/v1/chat/completions"
                return httpx.post(url, json=body, headers=headers, timeout=30)

            def experts():
                answer = ask(traceparent=PARENT.replace("-01", "-00"))
                return answer.headers.get("x-motet-experts")

            wait_for(lambda: experts() == "one,two,editor", 60)
            assert not collector.spans, "a client that keeps no trace has none kept here"
            answer = ask(traceparent=PARENT)
            root, below = collector.tree(5, 20)
            wait_for(lambda: logged(answer.headers["x-motet-request-id"]), 20)
    assert f"00-{root.trace_id}-{root.parent}-01" == PARENT
    assert root.attributes["motet.request.id"] == answer.headers["x-motet-request-id"]
    names = sorted(span.name for span in below)
    assert names == ["chat editor", "chat one", "chat two", "decide all"]
