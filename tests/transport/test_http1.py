"""Our own HTTP/1.1 client against hosts on real sockets."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hosting import hosting

from motet.transport.connections import Connections, Patience
from motet.transport.faults import Dropped, HostFault, Unreachable
from motet.transport.http1 import Http1
from motet.transport.http1_connection import Connection


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-len")
    )
    return head, await reader.readexactly(length)


class Scripted:
    """Answers each request of a connection with the next bytes of a list; counts connections."""

    def __init__(self, *answers, then_close=False):
        self.answers, self.then_close = list(answers), then_close
        self.connections, self.asked = 0, []

    async def __call__(self, reader, writer):
        self.connections += 1
        while True:
            self.asked.append(await read_request(reader))
            answer = self.answers.pop(0)
            for piece in answer if isinstance(answer, list) else [answer]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if self.then_close:
                return


async def ask(far, content=b"{}"):
    answer = await far.send("/x", content)
    try:
        return answer.status, await answer.body()
    finally:
        answer.close()


def opened(port, most=4, **more):
    far = Connections(
        f"http://127.0.0.1:{port}/v1?key=1", {"x-a": "b"}, Patience(2, 2), most, **more
    )
    far.open()
    return far


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nt: 1\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        OK, CHUNKED, [bytes([byte]) for byte in CHUNKED],
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)  # fmt: skip
async def test_framing_of_every_kind_keeps_the_connection(answer):
    host = Scripted(answer, answer, answer)
    async with hosting(host) as port:
        far = opened(port)
        assert [await ask(far) for _ in range(3)] == [(200, b"ok")] * 3
        await far.close()
    assert host.connections == 1
    head, body = host.asked[0]
    assert head.startswith(b"POST /v1/x?key=1 HTTP/1.1\r\n") and body == b"{}"
    assert b"x-a: b\r\n" in head and f"host: 127.0.0.1:{port}\r\n".encode() in head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nok",  # its end is the connection's
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        OK + b"what nobody has asked for",
        OK + b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\nbad",
    ],
)
async def test_what_cannot_be_kept_is_not(answer):
    host = Scripted(answer, answer, then_close=True)
    async with hosting(host) as port:
        far = opened(port)
        assert [await ask(far) for _ in range(2)] == [(200, b"ok")] * 2
        await far.close()
    assert host.connections == 2


async def test_a_kept_connection_that_the_host_has_closed_is_no_try():
    host = Scripted(*[OK] * 20, then_close=True)  # says that it keeps it, and does not
    async with hosting(host) as port:
        far = opened(port)
        assert [await ask(far) for _ in range(20)] == [(200, b"ok")] * 20
        await far.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", Dropped), (b"HTTP/1.1 200", HostFault), (b"\x15\x03\x01", HostFault),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", HostFault),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n", HostFault),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, HostFault),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", HostFault),
    ],
)  # fmt: skip
async def test_what_breaks_off_is_a_fault(answer, kind):
    async with hosting(Scripted(answer, then_close=True)) as port:
        far = opened(port)
        with pytest.raises(HostFault) as caught:
            await ask(far)
        assert type(caught.value) is kind
        assert far.at_work == 0
        await far.close()


async def test_a_name_that_is_nobodys_cannot_be_reached():
    for name in ("nobody.invalid", "a" * 80 + ".invalid"):
        far = Connections(f"http://{name}:1", {}, Patience(5, 5), 2)
        far.open()
        with pytest.raises(Unreachable):
            await far.send("/", b"")


async def test_who_reads_slowly_holds_the_host_and_not_the_memory():
    body = b"a" * 2**25
    host = Scripted(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    async with hosting(host) as port:
        far = opened(port, most_bytes=2**26)
        answer = await far.send("/x", b"{}")
        await asyncio.sleep(0.3)
        assert answer._answer._waiting < 2**21
        assert await answer.body() == body
        answer.close()
        await far.close()


async def test_an_answer_that_is_not_read_ends_its_connection():
    host = Scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", OK)
    async with hosting(host) as port:
        far = opened(port)
        (await far.send("/x", b"{}")).close()
        assert await ask(far) == (200, b"ok")
        await far.close()
    assert host.connections == 2


async def test_a_large_body_arrives_whole():
    host = Scripted(OK)
    async with hosting(host) as port:
        far = opened(port)
        assert await ask(far, b"b" * 5_000_000) == (200, b"ok")
        await far.close()
    assert host.asked[0][1] == b"b" * 5_000_000


async def test_connections_are_shared_by_many_at_once():
    host = Scripted(*[CHUNKED] * 200)
    async with hosting(host) as port:
        far = opened(port, most=8)
        assert await asyncio.gather(*(ask(far) for _ in range(200))) == [(200, b"ok")] * 200
        await far.close()
    assert host.connections <= 8


@settings(max_examples=30, deadline=None)
@given(
    body=st.binary(min_size=1, max_size=3000),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=6),
    chunked=st.booleans(),
)
def test_however_its_bytes_are_cut_a_body_is_the_same(body, cuts, chunked):
    if chunked:
        size = cuts[0]
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
        answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + framed
    else:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    pieces, at = [], 0
    while at < len(answer):
        step = cuts[len(pieces) % len(cuts)]
        pieces.append(answer[at : at + step])
        at += step

    async def round_trip():
        async with hosting(Scripted(pieces, pieces)) as port:
            far = opened(port)
            said = [await ask(far) for _ in range(2)]
            await far.close()
            return said

    assert asyncio.run(round_trip()) == [(200, body)] * 2


async def test_closing_tells_whoever_waits_for_a_connection(monkeypatch):
    async def never(self):
        await asyncio.sleep(60)

    monkeypatch.setattr(Http1, "_connected", never)
    far = opened(1)
    asking = asyncio.create_task(far.send("/x", b"{}"))
    await asyncio.sleep(0.05)
    await far.close()
    with pytest.raises(Unreachable):
        await asyncio.wait_for(asking, 1)
    assert far.at_work == 0


async def test_whoever_has_anothers_connection_leaves_his_own_failure_to_the_next(monkeypatch):
    """The first gets what was made for the second; when his own fails, the second is told."""
    host = Scripted(OK)
    real, calls, fail = Http1._connected, [], asyncio.Event()

    async def connected(self):
        calls.append(self)
        if len(calls) == 1:
            await fail.wait()
            raise Unreachable("refused")
        return await real(self)

    monkeypatch.setattr(Http1, "_connected", connected)
    async with hosting(host) as port:
        far = opened(port)
        first = asyncio.create_task(far.send("/x", b"{}"))
        second = asyncio.create_task(far.send("/x", b"{}"))
        answer = await asyncio.wait_for(first, 2)
        fail.set()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(second, 1)
        answer.close()
        answer.close()  # once more is nothing
        assert far.at_work == 0
        await far.close()


async def test_a_connection_that_dies_on_its_way_to_whoever_waits_is_no_try(monkeypatch):
    async def dead(self):
        return Connection(self)  # whose transport is gone

    monkeypatch.setattr(Http1, "_free", dead)
    host = Scripted(OK)
    async with hosting(host) as port:
        far = opened(port)
        assert await ask(far) == (200, b"ok")
        await far.close()
    assert host.connections == 1
