"""Experts that routers ask in a batch: loaded before, counted, and gone again."""

from tests.batch.helpers import Loaded, line, run_batch

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
