"""Panels and votes in a batch: each expert loaded once, one at a time, the strategies unchanged."""

import asyncio
import zlib

import pytest
from tests.batch.helpers import Loaded, line, run_batch

from motet.experts import ENGINES
from motet.experts.fake import FakeExpert

FLEET = """
version: 1
experts:
  - {id: red, engine: fake, tokens: ["The answer is 4"]}
  - {id: blue, engine: fake, tokens: ["The answer is 5"]}
  - {id: rose, engine: fake, tokens: ["It is 2 + 2, so the answer is 4"]}
  - {id: editor, engine: fake}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
routers:
  three: {kind: constant, expert: red, fallbacks: [blue, rose]}
  hurt: {kind: constant, expert: dead, fallbacks: [blue, rose]}
compositions:
  council: {router: three, strategy: {kind: aggregate, aggregator: editor}}
  wounded: {router: hurt, strategy: {kind: aggregate, aggregator: editor}}
  layered: {router: three, strategy: {kind: aggregate, aggregator: red, layers: 2}}
  jury: {router: three, strategy: {kind: vote}}
"""


def lines(model, count=6):
    return [line(f"q{n}", f"2+2? ({n})", model=model) for n in range(count)]


async def test_a_panel_and_its_aggregator_are_loaded_once_each(tmp_path):
    done = await run_batch(tmp_path, lines("council"), fleet=FLEET)
    assert done.loader.loads.count("editor") == 1 and done.loader.loads[-1] == "editor"
    assert sorted(done.loader.loads) == ["blue", "editor", "red", "rose"]
    assert done.loader.most == 1
    assert all(text.startswith("2+2? (") and "Answer 3" in text for text in done.texts.values())
    assert done.out[0]["response"]["body"]["model"] == "editor"


async def test_a_failed_draft_leaves_the_panel(tmp_path):
    done = await run_batch(tmp_path, lines("wounded"), fleet=FLEET)
    assert len(done.texts) == 6 and not done.errors
    assert all("Answer 2" in text and "Answer 3" not in text for text in done.texts.values())


async def test_layers(tmp_path):
    done = await run_batch(tmp_path, lines("layered"), fleet=FLEET)
    assert set(done.texts.values()) == {"The answer is 4"}
    assert done.loader.calls["red"] == 18 and done.loader.calls["blue"] == 12


async def test_a_vote(tmp_path):
    done = await run_batch(tmp_path, lines("jury"), fleet=FLEET)
    assert set(done.texts.values()) == {"The answer is 4"}
    assert len(done.loader.loads) <= 3


class Uneven(FakeExpert):
    """Answers now sooner, now later, always the same for the same question."""

    async def stream(self, request):
        await asyncio.sleep(zlib.crc32(f"{self.card.id} {request.text}".encode()) % 20 / 1000)
        async for chunk in super().stream(request):
            yield chunk


ENGINES.register("uneven", Uneven)
UNEVEN = FLEET.replace("engine: fake", "engine: uneven")


@pytest.mark.parametrize("carried", [0, 5_000, 20_000, 2**20])
async def test_what_is_carried_changes_nothing(tmp_path, carried):
    done = await run_batch(tmp_path, lines("council", 40), fleet=UNEVEN, memory=4, carried=carried)
    assert len(done.texts) == 40 and not done.errors
    assert done.loader.calls == {"red": 40, "blue": 40, "rose": 40, "editor": 40}


ASKING = """
version: 1
experts:
  - {id: a, engine: fake, tokens: [ay], price: {input: 1, output: 1}}
  - {id: namer, engine: fake, tokens: ['{"expert": "a"}'], price: {input: 100, output: 100}}
routers: {llm: {kind: llm, expert: namer, by: name}}
compositions: {auto: {router: llm, limits: {expert_calls: %s}}}
"""


async def test_what_a_router_asks_is_part_of_its_lines_cost_and_budget(tmp_path):
    lines = [line("q", "hi", motet={"explain": True})]
    done = await run_batch(tmp_path, lines, fleet=ASKING % 2)
    about = done.out[0]["response"]["body"]["motet"]
    assert [(c["expert"], c["purpose"]) for c in about["experts"]] == [
        ("namer", "route"), ("a", "answer"),
    ]  # fmt: skip
    assert about["cost_usd"] > 1e-4 and "started" not in about["experts"][0]
    used = done.out[0]["response"]["body"]["usage"]
    assert used["prompt_tokens"] == about["usage"]["prompt_tokens"] > 1
    (tmp_path / "state").unlink()
    done = await run_batch(tmp_path, lines, fleet=ASKING % 1)
    assert done.errors[0]["response"]["body"]["error"]["code"] == "budget_exceeded"


async def test_whom_a_router_asks_is_loaded_before_it_does_and_leaves_again(tmp_path):
    lines = [line(f"q{n}", f"hi {n}") for n in range(3)]
    done = await run_batch(tmp_path, lines, fleet=ASKING % 2)
    assert set(done.texts.values()) == {"ay"}
    assert done.loader.loads == ["namer", "a"] and done.loader.most == 1
    assert done.loader.calls == {"namer": 3, "a": 3}
    used = [each["response"]["body"]["usage"]["prompt_tokens"] for each in done.out]
    assert done.totals["namer"].calls == 3 and done.totals["namer"].cost_usd > 0
    assert sum(used) == sum(total.prompt_tokens for total in done.totals.values())
    done = await run_batch(tmp_path, lines, fleet=ASKING % 2)  # once more, with all of it kept
    assert done.loader.loads == [] and done.totals["namer"].calls == 3


async def test_a_router_whose_expert_cannot_be_loaded_is_passed_over(tmp_path):
    front = "front: {kind: chain, of: [llm], fallback: a}}"
    fleet = (
        (ASKING % 2)
        .replace("by: name}}", f"by: name}}, {front}")
        .replace("{router: llm,", "{router: front,")
    )
    fleet = fleet.replace("engine: fake, tokens: ['", "engine: fake, fail_after: 0, tokens: ['")
    done = await run_batch(tmp_path, [line("q", "hi")], fleet=fleet, broken=("namer",))
    assert done.texts == {"q": "ay"} and done.loader.loads == ["a"]


async def test_where_nobody_answers_soon_a_router_learns_so_at_once(tmp_path):
    class Late(Loaded):
        answers_soon = False

    done = await run_batch(tmp_path, [line("q", "hi")], fleet=ASKING % 2, loader=Late)
    assert "namer" not in done.loader.calls and "namer" not in done.loader.loads
