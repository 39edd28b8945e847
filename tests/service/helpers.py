"""What the tests of services share: routers that ask, experts that note their life, and requests."""

import asyncio

from motet.composer.assembly import assemble
from motet.config import parse
from motet.experts.fake import FakeExpert
from motet.types import Request

NAMER = '{"expert": "b"}'


ASKING = """
version: 1
experts:
  - {id: a, engine: fake, tokens: [ay]}
  - {id: b, engine: fake, tokens: [bee], price: {input: 1, output: 1}}
  - {id: namer, engine: fake, tokens: ['%s'], price: {input: 100, output: 100}, delay_s: %s}
routers:
  llm: {kind: llm, expert: namer, by: name, timeout_s: 60}
  front: {kind: chain, of: [llm], fallback: a}
compositions: {auto: {router: front, limits: {deadline_s: %s, expert_calls: %s}}}
"""


def asking(delay_s=0, deadline_s=60, calls=16):
    return parse(ASKING % (NAMER, delay_s, deadline_s, calls))


def ask(model="auto", text="one two", **fields):
    return Request(model=model, messages=({"role": "user", "content": text},), **fields)


async def ready(motet):
    while not all(member.health.ready for member in motet.fleet.view.values()):
        await asyncio.sleep(0.005)


WAITING = """
version: 1
experts:
  - {id: down, engine: fake, down: the key is refused}
  - {id: late, engine: fake, ready_after_s: 600}
  - {id: soon, engine: fake, tokens: [x], ready_after_s: 0.05}
service: {health_interval_s: 0.01, limits: {deadline_s: 0.4}}
"""


OLD = "version: 1\nexperts: [{id: a, engine: fake, tokens: [old, er], token_delay_s: %s}]\n"


NEW = "version: 1\nexperts: [{id: a, engine: fake, tokens: [new]}, {id: b, engine: fake}]\n"


class Tracked(FakeExpert):
    """A fake that notes its life."""

    life: list

    async def start(self):
        await super().start()
        self.life.append("start")

    async def close(self):
        self.life.append("close")


def tracked(text, life):
    def build(entry, options, setting):
        expert = Tracked(entry, options, setting)
        expert.life = life.setdefault(entry.id, [])
        return expert

    return assemble(parse(text), build)
