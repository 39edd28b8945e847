"""Connections to one host: what is sent with every request, and for how long it is waited for."""

import httpx
import pytest

from motet.transport.connections import Connections, Patience


class Host(httpx.AsyncBaseTransport):
    """Remembers what it is asked, and whether it is closed."""

    def __init__(self):
        self.requests = []
        self.closed = False

    async def handle_async_request(self, request):
        self.requests.append(request)
        return httpx.Response(200, content=b"{}")

    async def aclose(self):
        self.closed = True


def connections(host, most=3):
    kept = []

    def connect(connections):
        kept.append(connections)
        return host

    found = Connections(
        "http://far:80/v1/", {b"authorization": b"Bearer x"}, Patience(2.0, 30.0), most, connect
    )
    return found, kept


async def test_a_request_goes_to_the_base_with_its_headers_and_patience():
    host = Host()
    found, kept = connections(host)
    found.open()
    assert kept == [3]
    answer = await found.send("POST", "/chat", b"{}")
    (asked,) = host.requests
    assert (asked.method, str(asked.url)) == ("POST", "http://far/v1/chat")
    assert asked.headers["host"] == "far" and asked.headers["authorization"] == "Bearer x"
    assert asked.headers["content-length"] == "2"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.extensions["timeout"] == {"connect": 2.0, "pool": 2.0, "read": 30.0, "write": 30.0}
    assert answer.request is asked
    await answer.aclose()
    await found.send("GET", "/models", read_s=1.5)
    assert host.requests[1].extensions["timeout"]["read"] == 1.5


async def test_they_are_open_between_opening_and_closing():
    host = Host()
    found, kept = connections(host)
    assert not found.is_open
    await found.close()  # nothing yet
    found.open()
    assert found.is_open
    await found.close()
    assert not found.is_open and host.closed
    found.open()
    assert kept == [3, 3] and found.is_open


async def test_real_sockets(service):
    found = Connections(service.url, {}, Patience(5.0, 5.0), 2)
    found.open()
    answer = await found.send("GET", "/health")
    assert answer.status_code == 200 and b"ok" in await answer.aread()
    await answer.aclose()
    await found.close()
    gone = Connections("http://127.0.0.1:9", {}, Patience(1.0, 1.0), 2)
    gone.open()
    with pytest.raises(httpx.TransportError):
        await gone.send("GET", "/")
    await gone.close()
