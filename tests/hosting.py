"""A host on a real socket that does as it is told, and leaves nothing open behind it."""

import asyncio
from contextlib import asynccontextmanager


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
