"""Clients that are slow, large or many, and an end that is told."""

import asyncio
import json
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
import uvloop
from tests.conftest import free_port, running, wait_for

from motet.api import create_app
from motet.api.server import BoundedProtocol, Server
from motet.config import parse
from motet.service.motet import Motet

BOUND = "version: 1\nexperts: [{id: a, engine: fake, tokens: [x]}]\n"


@pytest.fixture(scope="module")
def hasty():
    with running(BOUND + "service: {body_timeout_s: 0.5}\n") as service:
        yield service


@contextmanager
def raw(service, **options):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        for name, value in options.items():
            client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        client.settimeout(10)
        client.connect((host, int(port)))
        yield client


def read_to_end(client):
    taken = b""
    try:
        while piece := client.recv(65536):
            taken += piece
    except ConnectionError:
        pass
    return taken


@pytest.mark.parametrize("start", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nx: "])
def test_headers_that_do_not_come_end_the_connection(hasty, start):
    with raw(hasty) as client:
        client.sendall(start)
        assert b"408" in read_to_end(client)


def test_so_do_those_of_a_further_request(hasty):
    with raw(hasty) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200" in client.recv(4096)
        client.sendall(b"GET /health HTTP/1.1\r\nx: ")
        assert b"408" in read_to_end(client)


def test_headers_without_end_are_not_read(hasty):
    with raw(hasty) as client:
        try:
            client.sendall(b"GET /health HTTP/1.1\r\nx: ")
            for _ in range(40):
                client.sendall(b"a" * 100_000)
        except ConnectionError:
            return  # it has stopped reading
        assert b"431" in read_to_end(client)


def test_a_large_body_in_one_piece_is_no_large_header(hasty):
    body = {"model": "a", "messages": [{"role": "user", "content": "x" * 500_000}]}
    assert hasty.post("/v1/chat/completions", body).status_code == 200


def test_a_client_that_does_not_read_ends_at_the_deadline():
    tokens = ",".join(['"' + "x" * 1000 + '"'] * 8000)
    text = (
        f"version: 1\nexperts: [{{id: long, engine: fake, tokens: [{tokens}]}}]\n"
        "service: {limits: {deadline_s: 1}}\n"
    )
    with running(text) as service, raw(service, SO_RCVBUF=4096) as client:
        wait_for(lambda: service.get("/ready").json()["complete"])
        body = json.dumps({"model": "long", "stream": True, "messages": [{"role": "user", "content": "x"}]})  # fmt: skip
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        client.sendall((head + body).encode())
        assert b"200" in client.recv(100)
        wait_for(lambda: service.motet.fleet["long"].open == 1)
        wait_for(lambda: service.motet.fleet["long"].open == 0)
        taken = read_to_end(client)
        assert b"deadline_exceeded" in taken or b"[DONE]" not in taken


@pytest.mark.parametrize("stream", [True, False])
def test_who_still_waits_when_the_service_stops_is_told(stream):
    text = "version: 1\nexperts: [{id: slow, engine: fake, tokens: [a, b], token_delay_s: 60}]\n"
    motet = Motet(parse(text))
    port = free_port()
    server = Server(create_app(motet), motet.config.service, port=port, grace_s=0.3)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    wait_for(lambda: motet.fleet.view["slow"].health.ready)
    answers = []

    def ask():
        body = {"model": "slow", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        answers.append(httpx.post(url, json=body, timeout=30))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: motet.fleet["slow"].open == 1)
    began = time.monotonic()
    server.should_exit = True
    asking.join(20)
    thread.join(20)
    (answer,) = answers
    assert not thread.is_alive() and time.monotonic() - began < 15
    assert answer.status_code == (200 if stream else 503)
    assert "service_stopping" in answer.text and ("[DONE]" in answer.text) is stream


def test_who_is_answered_early_and_then_sends_little_is_not_kept_for_ever(hasty):
    with raw(hasty) as client:
        client.sendall(
            b"POST /v1/none HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 10\r\n\r\n"
        )
        assert b" 404 " in client.recv(4096)
        client.sendall(b"x")
        assert client.recv(4096) == b""  # closed, within the time that bodies have


def test_who_is_answered_early_may_end_his_request_and_ask_again(hasty):
    with raw(hasty) as client:
        ask = b"POST /v1/none HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        client.sendall(ask + b"content-length: 2\r\n\r\n")
        assert b" 404 " in client.recv(4096)
        client.sendall(b"{}GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b" 200 " in client.recv(4096)


def test_who_comes_new_is_let_in_while_others_keep_it_busy():
    """Sixty-four that come while the event loop is busy are in within a few of its turns."""
    motet = Motet(parse("version: 1\nexperts: [{id: echo, engine: fake}]"))
    turns, let_in = 0, []

    class Counting(BoundedProtocol):
        def connection_made(self, transport):
            super().connection_made(transport)
            let_in.append(turns)

    async def main():
        nonlocal turns
        server = Server(create_app(motet), motet.config.service, port=0)
        server.config.load()
        server.config.http_protocol_class = Counting
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
        before = turns
        while len(let_in) < 64 and turns < before + 1000:
            turns += 1
            await asyncio.sleep(0)
        for client in clients:
            client.close()
        server.should_exit = True
        await serving
        assert len(let_in) == 64 and let_in[-1] - let_in[0] < 16

    uvloop.run(main())
