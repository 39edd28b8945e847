"""Rankings among live experts: by a judge both ways round, and by a fitted scorer."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.composer.fitted.world import write

from motet.config import parse
from motet.errors import ConfigError, MotetError, UnsupportedRequest
from motet.lab.compositions.ranking import fit_ranker
from motet.service.motet import Motet
from motet.tables import read_recorded
from motet.types import Request

FLEET = """
version: 1
experts:
  - {id: long, engine: fake, tokens: ["I say 1, because it is so. because it is so. because it is so. because it is so. "]}
  - {id: short, engine: fake, tokens: ["I say 2, because it is so. "]}
  - {id: dead, engine: fake, fail_after: 0}
  - {id: first, engine: fake, tokens: ["1"]}
  - {id: tied, engine: fake, tokens: ["0"]}
routers:
  r: {kind: constant, expert: FIRST, fallbacks: [OTHERS]}
compositions:
  c: {router: r, strategy: {kind: rank, draft_s: 1, STRATEGY}}
"""


@asynccontextmanager
async def ranking(*order, strategy):
    text = FLEET.replace("FIRST", order[0]).replace("OTHERS", ", ".join(order[1:]))
    async with Motet(parse(text.replace("STRATEGY", strategy))) as motet:
        await motet.fleet.ready()
        await asyncio.sleep(0)
        yield motet


async def ask(motet, **fields):
    fields = {"messages": ({"role": "user", "content": "add the numbers"},)} | fields
    async with motet.answer(Request(model="c", **fields)) as answer:
        text = "".join([chunk.text async for chunk in answer])
    return text, answer


def judging(motet, better):
    """Have the judge prefer the draft with `better` in it, wherever it stands."""
    judge = motet.parts.experts["first"]
    stream = judge.stream

    async def said(request):
        content = request.messages[-1]["content"]
        at = "1" if content.index(better) < content.index("Answer 2") else "2"
        async for chunk in stream(request):
            yield type(chunk)(**{**_fields(chunk), "text": at if chunk.text else ""})

    judge.stream = said


def _fields(chunk):
    return {name: getattr(chunk, name) for name in chunk.__dataclass_fields__}


async def test_a_judge_who_means_it_decides():
    async with ranking("long", "short", strategy="judge: first, experts: 2") as motet:
        judging(motet, "I say 2")
        text, answer = await ask(motet)
    assert text.startswith("I say 2") and answer.author == "short"
    assert [call.expert for call in answer.calls.trace].count("first") == 2


@pytest.mark.parametrize("judge", ["first", "tied", "dead"])
async def test_a_judge_who_takes_the_first_decides_nothing(judge):
    async with ranking("short", "long", strategy=f"judge: {judge}, experts: 2") as motet:
        assert (await ask(motet))[1].author == "short"


async def test_a_fitted_scorer_decides(tmp_path):
    table = read_recorded(write(tmp_path / "t.parquet", 60, 0), needs=("text",))
    fit_ranker(table, knows_authors=False).save(tmp_path / "r", {})
    async with ranking(
        "short", "dead", "long", strategy=f"artifact: {tmp_path / 'r'}, experts: 3"
    ) as motet:
        text, answer = await ask(motet)
    assert answer.author == "long" and text.startswith("I say 1")


async def test_the_best_are_fused():
    async with ranking("short", "long", strategy="judge: tied, experts: 2, fuse: 2") as motet:
        text, answer = await ask(motet, stream=True)
    assert text == "0" and answer.author == "tied"


async def test_drafts_that_fail_are_left_out():
    async with ranking("dead", "short", strategy="judge: first, experts: 2") as motet:
        assert (await ask(motet))[1].author == "short"
    async with ranking("dead", strategy="judge: first, experts: 2") as motet:
        with pytest.raises(MotetError):
            await ask(motet)


async def test_what_a_ranking_cannot_give_is_refused():
    async with ranking("long", "short", strategy="judge: first") as motet:
        for fields in (
            {"n": 2},
            {"tools": ({"type": "function"},)},
            {"messages": (), "prompt": "x"},
        ):
            with pytest.raises(UnsupportedRequest):
                await ask(motet, **fields)


@pytest.mark.parametrize("strategy", ["experts: 2", "judge: first, artifact: x", "judge: nobody"])
async def test_one_way_to_rank_is_named(strategy):
    with pytest.raises(ConfigError):
        async with ranking("long", "short", strategy=strategy):
            pass
