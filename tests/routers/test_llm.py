"""An expert that is asked who should answer: what is made of what it says."""

import asyncio

import pytest
from tests.routers.fronts import decide
from tests.routers.learned.live import FLEET, around, ask

from motet.errors import ConfigError
from motet.routers.llm import LLMConfig, LLMRouter
from motet.types import Capability, ExpertCard, Fleet, Member


class Oracle:
    """Answers what a language model would, and keeps the questions."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    async def ask(self, expert, request):
        self.asked.append((expert, request))
        if self.answer is None:
            await asyncio.sleep(30)
        return self.answer


def llm(**options):
    config = LLMConfig.model_validate({"expert": "solver", "timeout_s": 0.2, **options})
    return LLMRouter("llm", config, around(None, tuple(FLEET), "llm"))


async def test_an_expert_names_the_task():
    oracle = Oracle('Sure: {"task": "a python function with a loop"}')
    decision = await llm().route(ask("fix my program"), FLEET, oracle)
    assert decision.primary == "coder"
    assert "a python function with a loop" in decision.reason
    ((expert, request),) = oracle.asked
    assert expert == "solver" and "fix my program" in request.text
    assert request.response_format is None  # the fake engine cannot be bound to a schema


async def test_an_expert_names_the_expert():
    able = ExpertCard(id="solver", engine="x", capabilities=frozenset({Capability.JSON_SCHEMA}))
    fleet = Fleet([Member(able), *FLEET.only({"coder": 1, "jurist": 1}).values()])
    oracle = Oracle('{"expert": "jurist"}')
    decision = await llm(by="name").route(ask("sue them"), fleet, oracle)
    assert decision.experts == ("jurist", "solver", "coder")
    form = oracle.asked[0][1].response_format["json_schema"]["schema"]
    assert form["properties"]["expert"]["enum"] == ["solver", "coder", "jurist"]


@pytest.mark.parametrize("answer", [None, "no json", "{}", '{"expert": "nobody"}', '{"expert": 3}'])
async def test_no_usable_answer_is_no_decision(answer):
    assert await llm(by="name").route(ask("hi"), FLEET, Oracle(answer)) is None


async def test_an_expert_that_is_not_there_is_refused():
    with pytest.raises(ConfigError) as caught:
        await decide("routers: {front: {kind: llm, expert: d}}")
    assert "routers.front.expert: no expert 'd'" in str(caught.value)
