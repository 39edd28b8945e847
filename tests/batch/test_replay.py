"""A strategy run again for each step: unmodified, and bounded where it is at fault."""

import asyncio

import pytest
from tests.asks import setting_of
from tests.batch.helpers import FLEET, line, run_batch

from motet.composer.strategies.base import Strategy
from motet.config import Options
from motet.types import Chunk

NOWHERE = setting_of()


class Panel(Strategy):
    """Asks three at once, then one of them to sum up: what panels and votes look like."""

    Config = Options

    def stages(self, decision):
        return (("a", "b", "c"), ("b",))

    async def run(self, request, decision, calls):
        async def whole(expert, asked):
            return "".join([c.text async for c in calls.stream(expert, asked) if c.index == 0])

        async with asyncio.TaskGroup() as group:
            drafts = [group.create_task(whole(expert, request)) for expert in ("a", "b", "c")]
        from dataclasses import replace

        question = {"role": "user", "content": " | ".join(d.result() for d in drafts)}
        asked = replace(request, messages=(question,))
        calls.lead("b")
        async for chunk in calls.stream("b", asked):
            yield chunk


@pytest.mark.parametrize("memory", [1, 2, 3])
async def test_a_strategy_of_several_steps_runs_unchanged(tmp_path, memory):
    lines = [line(f"q{n}", f"text {n}") for n in range(20)]
    done = await run_batch(
        tmp_path, lines, strategies={"auto": Panel(Options(), NOWHERE)}, memory=memory,
        fleet=FLEET.replace("expert_calls: 8", ""),
    )  # fmt: skip
    assert len(done.out) == 20
    assert done.out[0]["response"]["body"]["usage"]["completion_tokens"] == 2 + 1 + 1 + 1
    assert done.loader.calls == {"a": 20, "b": 40, "c": 20}
    # the aggregator comes last of the panel, and stays
    assert sorted(done.loader.loads) == ["a", "b", "c"]
    assert done.loader.most <= memory


class Restless(Strategy):
    """Asks something else each time it is run."""

    Config = Options

    async def run(self, request, decision, calls):
        from dataclasses import replace

        from motet.ids import new_id

        async for chunk in calls.stream("a", replace(request, user=new_id("user"))):
            yield chunk


class Broken(Strategy):
    Config = Options

    async def run(self, request, decision, calls):
        yield Chunk(text="x")
        raise KeyError("a fault of its own")


@pytest.mark.parametrize(("kind", "said"), [(Restless, "does not settle"), (Broken, "internal")])
async def test_a_strategy_at_fault_ends_its_lines_and_no_others(tmp_path, kind, said):
    lines = [line("x"), line("y", model="b")]
    done = await run_batch(tmp_path, lines, strategies={"auto": kind(Options(), NOWHERE)})
    assert done.texts == {"y": "bee"}
    assert said in done.errors[0]["response"]["body"]["error"]["message"]
