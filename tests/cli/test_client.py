"""Calls to a service: its errors in its own words, and what to do where there is none."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from motet.cli.client import explain_failure, get, headers, post, states
from motet.errors import DeployError, MotetError


def test_an_error_is_told_in_the_services_words(service):
    with pytest.raises(MotetError, match=r"'nope'.*does not exist.*\(HTTP 404\)"):
        post(
            service.url,
            "/v1/chat/completions",
            {"model": "nope", "messages": [{"role": "user", "content": "x"}]},
        )
    assert str(explain_failure(httpx.Response(502, text="<html>bad gateway"))) == (
        "<html>bad gateway (HTTP 502)"
    )


def test_a_503_that_reports_is_an_answer(service):
    assert "experts" in get(service.url, "/ready")
    with pytest.raises(DeployError, match=r"Cannot reach http://127.0.0.1:9: .*motet serve"):
        get("http://127.0.0.1:9", "/ready")


def test_a_key_travels_in_a_header():
    assert headers(None) == {} and headers("k") == {"authorization": "Bearer k"}


@pytest.fixture
def elsewhere():
    """A host that is no Motet: it answers every path with what `page` holds."""
    page = {"status": 502, "content": b"<html>\nBad Gateway</html>"}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(page["status"])
            self.end_headers()
            self.wfile.write(page["content"])

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page["url"] = f"http://127.0.0.1:{server.server_port}"
    yield page
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (502, b"<html>\nBad Gateway</html>", "<html> Bad Gateway</html> (HTTP 502)"),
        (200, b"<html>hello", "<html>hello (HTTP 200) Is http"),
        (200, b"", "An empty answer (HTTP 200)"),
        (200, b"[1]", "[1] (HTTP 200)"),
        (200, b"{}", "its /ready names no experts"),
        (500, b'{"error": null}', "(HTTP 500)"),
    ],
)
def test_a_page_that_is_no_answer_is_told_in_a_line(elsewhere, status, content, said):
    elsewhere.update(status=status, content=content)
    with pytest.raises(MotetError) as caught:
        states(elsewhere["url"])
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "", "http://", "http://[::1"])
def test_what_is_no_address_is_told(url):
    with pytest.raises(DeployError, match="Cannot reach"):
        get(url, "/ready")
