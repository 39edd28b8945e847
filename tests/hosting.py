"""Hosts that do as they are told: on a real socket, and in the place of the HTTP client."""

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
from multidict import CIMultiDict


class Played:
    """A transport that plays a list of answers, the last of them for ever.

    An answer is an exception, or a status, a body and headers if need be; bodies come in pieces of
    `step` bytes, so that nothing may count on whole lines. It remembers the requests.
    """

    def __init__(self, *answers, step=7):
        self.answers = list(answers)
        self.requests = []
        self.closed = False
        self._step = step

    async def send(self, method, url, headers, content):
        asked = SimpleNamespace(method=method, url=url, headers=CIMultiDict(headers), body=content)
        self.requests.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return _Answered(*answer, step=self._step)

    async def close(self):
        self.closed = True

    def body(self, number=-1):
        """Return the JSON of a request."""
        return json.loads(self.requests[number].body)


class _Answered:
    def __init__(self, status, content, headers=(), *, step):
        self.status, self.headers = status, CIMultiDict(headers)
        content = json.dumps(content).encode() if isinstance(content, dict) else content
        self._pieces = [content[at : at + step] for at in range(0, len(content), step)]

    async def read(self):
        return self._pieces.pop(0) if self._pieces else b""

    def close(self):
        pass


def unreachable():
    """Return what the client raises where nobody takes the connection."""
    place = SimpleNamespace(host="far", port=80, ssl=None)
    return aiohttp.ClientConnectorError(place, OSError("no"))


@asynccontextmanager
async def hosting(handle, **options):
    """Have `handle(reader, writer)` answer each connection; yields the port.

    `options` are those of `asyncio.start_server`.
    """
    serving, writers = set(), []

    async def serve(reader, writer):
        task = asyncio.current_task()
        serving.add(task)
        writers.append(writer)
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has left
        finally:
            serving.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)  # sockets close a turn of the loop later
