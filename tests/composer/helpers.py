"""What the tests of answers share: a service of fakes, and one answer read to its end."""

import asyncio
from contextlib import asynccontextmanager

from motet.config import parse
from motet.service.motet import Motet
from motet.types import Request


@asynccontextmanager
async def motet(experts, rest="", *, order=None, limits="{}"):
    names = order or [line.split("id: ")[1].split(",")[0] for line in experts]
    text = "version: 1\nexperts:\n" + "".join(f"  - {line}\n" for line in experts)
    text += f"routers: {{r: {{kind: constant, expert: {names[0]}, fallbacks: {names[1:]}}}}}\n"
    text += f"compositions: {{auto: {{router: r, limits: {limits}{rest}}}}}\n"
    async with Motet(parse(text.replace("'", ""))) as found:
        await found.fleet.ready()
        await asyncio.sleep(0)
        yield found


def ask(text="one two three", model="auto", **fields):
    return Request(model=model, messages=({"role": "user", "content": text},), **fields)


async def read(found, request):
    async with found.answer(request) as answer:
        return "".join([chunk.text async for chunk in answer]), answer


ECHO = "{id: echo, engine: fake, context: 50, price: {input: 1, output: 2}}"
