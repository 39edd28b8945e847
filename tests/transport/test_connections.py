"""Connections to one host: what is sent with every request, and how long it is waited for."""

import asyncio
import gzip
import ssl
import zlib

import aiohttp
import httpx
import pytest
import trustme
from tests.hosting import Played, hosting, unreachable

from motet.transport.connections import Connections, Patience
from motet.transport.faults import Crowded, Dropped, HostFault, Silent, TooMuch, Unreachable
from motet.transport.link import Link, proxy_of


def connections(host=None, base="http://far:80/v1/", most=3, **more):
    links, host = [], host or Played((200, b"{}"))

    def connect(link):
        links.append(link)
        return host

    far = Connections(base, {"x-a": "b"}, Patience(2.0, 30.0), most, connect=connect, **more)
    return far, links


async def test_a_request_goes_to_the_base_with_its_headers_and_patience():
    host = Played((200, b"{}"))
    far, links = connections(host)
    far.open()
    reply = await far.send("/chat", b"{}")
    (asked,) = host.requests
    assert (asked.method, asked.url) == ("POST", "http://far/v1/chat")
    assert asked.headers["host"] == "far" and asked.headers["x-a"] == "b"
    assert asked.headers["accept-encoding"] == "identity" and asked.body == b"{}"
    assert (reply.status, await reply.body()) == (200, b"{}")
    reply.close()
    assert links[0].connect_s == 2.0


async def test_a_path_goes_before_the_query_and_a_password_into_a_header():
    host = Played((200, b"{}"))
    far, _ = connections(host, "http://bob:hunter2@far/deployments/d?api-version=1")
    far.open()
    await far.send("/chat/completions", b"")
    (asked,) = host.requests
    assert asked.url == "http://far/deployments/d/chat/completions?api-version=1"
    assert asked.headers["authorization"] == "Basic Ym9iOmh1bnRlcjI="
    assert far.shown == "http://far/deployments/d" and far.origin == "http://far/"


async def test_they_are_open_between_opening_and_closing():
    host = Played((200, b"{}"))
    far, links = connections(host)
    assert not far.is_open
    await far.close()  # nothing yet
    far.open()
    assert far.is_open
    await far.close()
    assert not far.is_open and host.closed
    far.open()
    assert len(links) == 2 and far.is_open


async def test_only_so_many_requests_are_under_way_and_looking_takes_no_place():
    far, _ = connections(most=1)
    far._patience = Patience(1.0, 0.05)
    far.open()
    reply = await far.send("/a", b"")
    assert far.at_work == 1
    (await far.look("/models", 1.0)).close()
    with pytest.raises(Crowded):
        await far.send("/b", b"")
    reply.close()
    reply.close()  # once more changes nothing
    assert far.at_work == 0
    (await far.send("/b", b"")).close()


async def test_calls_begin_in_the_order_in_which_they_came():
    host = Played((200, b"{}"))
    far, _ = connections(host, most=2)
    far.open()

    async def ask(number):
        reply = await far.send("/a", b"%d" % number)
        await asyncio.sleep(0.001 * (number % 3))
        reply.close()

    await asyncio.gather(*(ask(number) for number in range(60)))
    assert [int(asked.body) for asked in host.requests] == list(range(60))
    assert far.at_work == 0


async def test_who_no_longer_waits_holds_up_nobody():
    far, _ = connections(most=1)
    far.open()
    first = await far.send("/a", b"")
    waiting = [asyncio.create_task(far.send("/a", b"")) for _ in range(3)]
    await asyncio.sleep(0)
    assert far.waiting == 3
    for left in waiting[:2]:
        left.cancel()
    first.close()
    (await waiting[2]).close()
    assert far.at_work == far.waiting == 0
    (await far.send("/a", b"")).close()


async def test_a_place_is_given_back_whatever_happens():
    far, _ = connections(Played(unreachable()), most=1)
    far.open()
    for _ in range(3):
        with pytest.raises(Unreachable):
            await far.send("/a", b"")
    assert far.at_work == 0


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (unreachable(), Unreachable), (aiohttp.ConnectionTimeoutError("no"), Unreachable),
        (TimeoutError(), Silent), (aiohttp.ServerDisconnectedError("no"), Dropped),
        (aiohttp.ClientOSError("no"), Dropped), (ValueError("no"), HostFault),
        (aiohttp.InvalidURL("no"), Unreachable), (aiohttp.ClientPayloadError("no"), HostFault),
    ],
)  # fmt: skip
async def test_whatever_a_library_raises_is_a_fault_of_the_call(raised, kind):
    far, _ = connections(Played(raised))
    far.open()
    with pytest.raises(HostFault) as caught:
        await far.send("/a", b"")
    assert type(caught.value) is kind


async def test_what_is_packed_is_unpacked_and_what_is_too_long_is_not_read():
    answer = (200, gzip.compress(b"a" * 5000), {"content-encoding": "gzip"})
    for most, fits in ((5000, True), (4999, False)):
        far, _ = connections(Played(answer), most_bytes=most)
        far.open()
        reply = await far.send("/a", b"")
        if fits:
            assert await reply.body() == b"a" * 5000
        else:
            with pytest.raises(TooMuch):
                await reply.body()
        reply.close()


@pytest.mark.parametrize(
    ("names", "proxy"),
    [
        ({}, None),
        ({"http_proxy": "http://p:1"}, "http://p:1"),
        ({"http_proxy": "p:1"}, "http://p:1"),
        ({"all_proxy": "http://p:1"}, "http://p:1"),
        ({"all_proxy": "socks5://p:1"}, None),
        ({"https_proxy": "http://p:1"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "other,.far.example"}, None),
    ],
)
def test_the_proxy_is_the_environments(names, proxy, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(httpx.URL("http://api.far.example/v1")) == proxy


async def test_real_sockets(service):
    far = Connections(service.url, {}, Patience(5.0, 5.0), 2)
    far.open()
    reply = await far.look("/health", 5.0)
    assert reply.status == 200 and b"ok" in await reply.body()
    reply.close()
    await far.close()
    gone = Connections("http://127.0.0.1:9", {}, Patience(1.0, 1.0), 2)
    gone.open()
    with pytest.raises(Unreachable) as caught:
        await gone.send("/", b"")
    assert not caught.value.waited
    await gone.close()


async def test_a_host_that_hangs_up_without_a_word_has_dropped_the_connection():
    async def hang_up(reader, writer):
        await reader.readline()

    async with hosting(hang_up) as port:
        far = Connections(f"http://127.0.0.1:{port}", {}, Patience(1.0, 1.0), 2)
        far.open()
        with pytest.raises(Dropped):
            await far.send("/", b"")
        await far.close()


async def test_a_host_that_breaks_its_framing_does_not_hold_us_for_ever():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"no chunk\r\n")
        await asyncio.sleep(60)

    async with hosting(serve) as port:
        far = Connections(f"http://127.0.0.1:{port}", {}, Patience(0.2, 0.2), 2)
        far.open()
        response = await far.send("/", b"")
        with pytest.raises(HostFault):
            async with asyncio.timeout(5):
                await response.body()
        response.close()
        await far.close()


@pytest.mark.parametrize(
    ("packed", "kind"),
    [
        (gzip.compress(b"a" * 10**6), "gzip"),
        (gzip.compress(b"a" * 5) + gzip.compress(b"a" * (10**6 - 5)), "x-gzip"),
        (zlib.compress(b"a" * 10**6), "deflate"),
    ],
)
async def test_much_in_little_comes_in_bounded_pieces(packed, kind):
    far, _ = connections(Played((200, packed, {"content-encoding": kind}), step=100))
    far.open()
    response = await far.send("/a", b"")
    pieces = [piece async for piece in response.pieces()]
    assert b"".join(pieces) == b"a" * 10**6 and max(map(len, pieces)) <= 2**18
    response.close()


async def test_what_is_not_packed_as_it_says_is_a_fault():
    far, _ = connections(Played((200, b"plain", {"content-encoding": "gzip"})))
    far.open()
    response = await far.send("/a", b"")
    with pytest.raises(HostFault):
        await response.body()
    response.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Return a folder with an authority, and what it has signed for localhost and for a client."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, identity in (("host", "localhost"), ("client", "motet@motet.example")):
        made = authority.issue_cert(identity, common_name=name)
        made.private_key_pem.write_to_path(folder / f"{name}.key")
        for pem in made.cert_chain_pems:
            pem.write_to_path(folder / f"{name}.pem", append=True)
    return folder


async def test_a_host_of_ones_own_authority_that_wants_to_know_us(certificates):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        names = dict(field[0] for field in writer.get_extra_info("peercert")["subject"])
        body = names["commonName"].encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    tls.load_cert_chain(certificates / "host.pem", certificates / "host.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    ours = Link(*(certificates / file for file in ("ca.pem", "client.pem", "client.key")))
    async with hosting(answer, ssl=tls) as port:

        async def ask(link):
            far = Connections(f"https://localhost:{port}", {}, Patience(2.0, 2.0), 2, link=link)
            far.open()
            try:
                response = await far.send("/", b"")
                try:
                    return await response.body()
                finally:
                    response.close()
            finally:
                await far.close()

        assert await ask(ours) == b"client"
        for unknown in (Link(), Link(certificates / "ca.pem")):
            with pytest.raises(HostFault):
                await ask(unknown)


async def test_a_certificate_that_is_none_is_told_at_the_start(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    for link in (Link(tmp_path / "ca.pem"), Link(tmp_path / "absent")):
        far = Connections("https://localhost:1", {}, Patience(1.0, 1.0), 2, link=link)
        with pytest.raises(OSError):
            far.open()


async def test_a_proxy_between_is_asked_with_its_password(monkeypatch):
    heads = []

    async def proxy(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()

    async with hosting(proxy) as port:
        monkeypatch.setenv("http_proxy", f"http://bob:hunter2@127.0.0.1:{port}")
        far = Connections("http://far.example/v1", {"x-a": "b"}, Patience(2.0, 2.0), 2)
        far.open()
        answer = await far.send("/chat", b"{}")
        assert (answer.status, await answer.body()) == (200, b"ok")
        answer.close()
        await far.close()
    (head,) = heads
    assert head.startswith("post http://far.example/v1/chat ") and "x-a: b\r\n" in head
    assert "proxy-authorization: basic ym9iomh1bnrlcji=\r\n" in head
    assert "user-agent" not in head and "accept:" not in head


async def test_a_proxy_that_refuses_or_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    far = Connections("http://far.example/v1", {}, Patience(1.0, 1.0), 2)
    far.open()
    with pytest.raises(Unreachable):
        await far.send("/chat", b"{}")
    await far.close()
