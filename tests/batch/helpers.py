"""What the tests of batches share: an engine that must be loaded, and a batch run in one call."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from motet.batch.facts import begin
from motet.batch.lines import InputFile, Rules
from motet.batch.output import write_results
from motet.batch.run import Batch, Settings
from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import parse
from motet.errors import SourceError
from motet.experts.fleet import ReadyFleet
from motet.residency.engines import Host, LocalEngines
from motet.store.jobs import opened
from motet.transport.retry import Retry

FLEET = """
version: 1
experts:
  - {id: a, engine: fake, price: {input: 1, output: 2}}
  - {id: b, engine: fake, tokens: [bee]}
  - {id: c, engine: fake, tokens: [see]}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
  - {id: shaky, engine: fake, fail_after: 0, error: overloaded}
routers:
  words:
    kind: symbolic
    rules:
      - {name: bee, when: "mentions(['bee'])", use: [b, c]}
      - {name: dead, when: "mentions(['dead'])", use: [dead, c]}
  front: {kind: chain, of: [words], fallback: a}
compositions:
  auto: {router: front}
"""


class Loaded(LocalEngines):
    """Fake experts that have to be loaded, a byte each, and a record of what happened."""

    def __init__(self, experts, broken=()):
        super().__init__(experts)
        self.loads = []
        self.up = set()
        self.most = 0
        self.calls = Counter()
        self._broken = broken

    def host(self, expert):
        return Host(expert)

    async def sizes(self, engines):
        return dict.fromkeys(engines, 1)

    async def open(self):
        pass

    async def load(self, engine):
        if engine in self._broken:
            raise SourceError(f"no weights of {engine}.")
        assert engine not in self.up
        self.loads.append(engine)
        self.up.add(engine)
        self.most = max(self.most, len(self.up))
        await super().load(engine)

    def expert(self, expert):
        assert expert in self.up, f"{expert} is asked and not loaded"
        self.calls[expert] += 1
        return super().expert(expert)

    async def unload(self, engine):
        self.up.remove(engine)
        await super().unload(engine)


def line(name, content="hello", model="auto", url="/v1/chat/completions", **fields):
    body = {"model": model, "messages": [{"role": "user", "content": content}], **fields}
    return {"custom_id": name, "method": "POST", "url": url, "body": body}


MIXED = [line(f"q{n}", ["hello", "a bee", "so dead"][n % 3] + f" {n}") for n in range(30)]


def write(path: Path, lines) -> Path:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    content = "".join(f"{text}\n" for text in texts)
    if not path.exists() or path.read_text() != content:  # else its time stays, which answers carry
        path.write_text(content)
    return path


def read(path: Path):
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


class Done:
    """A batch that was run: its files as values, and its loader."""

    def __init__(self, folder, loader, totals):
        self.out = read(folder / "out.jsonl")
        self.errors = read(folder / "errors.jsonl")
        self.loader = loader
        self.totals = {total.expert: total for total in totals}

    @property
    def texts(self):
        return {
            each["custom_id"]: each["response"]["body"]["choices"][0]["message"]["content"]
            for each in self.out
        }


async def run_batch(
    folder, lines, *, fleet=FLEET, memory=1, order="grouped", model=None, strategies=None,
    broken=(), fresh=False, loader=Loaded, concurrency=4, observer=None, carried=64 * 2**20,
) -> Done:  # fmt: skip
    """Run a batch in `folder` from its lines to its files."""
    document = parse(fleet, folder=folder)
    parts = assemble(document)
    for name, strategy in (strategies or {}).items():
        changed = replace(parts.compositions[name], strategy=strategy)
        parts = replace(parts, compositions={**parts.compositions, name: changed})
    made = loader(parts.experts, broken)
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()), observer)
    settings = Settings(memory, concurrency, order, Retry(first_s=0.0), carried)
    source = write(folder / "in.jsonl", lines)
    async with opened(folder / "state") as store:
        with InputFile(source) as file:
            job = await begin(store, "batch", document, file, Rules(model=model), fresh=fresh)
            batch = Batch(job, store, file, pipeline, made, settings)
            await batch.prepare()
            await batch.run()
            await write_results(store, job.id, folder / "out.jsonl", folder / "errors.jsonl")
        return Done(folder, made, await store.totals(job.id))
