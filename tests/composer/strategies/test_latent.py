"""A fused answer: the decision says who is fused, and the primary stands by."""

import pytest
from tests.conftest import running, wait_for
from tests.fusion.served import CONFIG, served
from tests.fusion.world import QUESTIONS

from motet.config import parse
from motet.service.motet import Motet
from motet.types import Request


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return served(tmp_path_factory.mktemp("served"))


@pytest.mark.parametrize(
    "first, others, fused",
    [
        ("ann", "cid, bob", "ann,cid,bob"),
        ("cid", "bob, ann", "bob,cid,ann"),  # the first that can write is the primary
        ("ann", "", "ann"),
        ("bob", "ann", "bob,ann"),
    ],
)
def test_the_decision_says_who_is_fused(world, first, others, fused):
    text = CONFIG.replace("FIRST", first).replace("OTHERS", others)
    with running(parse(text, folder=world.folder)) as service:
        wait_for(
            lambda: all(
                e["state"] == "ready" for e in service.get("/ready").json()["experts"].values()
            ),
            30,
        )
        body = {"model": "fused", "prompt": QUESTIONS[0], "temperature": 0, "max_tokens": 10}
        found = service.post("/v1/completions", body)
        assert found.status_code == 200, found.text
        assert found.headers["x-motet-experts"] == f"fusion,{fused}"
        streamed = service.post("/v1/completions", {**body, "stream": True})
        assert streamed.text.count("data: ") > 3
        names = fused.split(",")
        named = {**body, "model": "fusion", "fusion": {"primary": names[0], "peers": names[1:]}}
        said = service.post("/v1/completions", named).json()["choices"][0]["text"]
        assert found.json()["choices"][0]["text"] == said


async def test_without_the_fusion_the_primary_answers(world):
    text = CONFIG.replace("FIRST", "ann").replace("OTHERS", "bob")
    async with Motet(parse(text, folder=world.folder)) as motet:
        for name in ("ann", "fusion"):
            await motet.fleet.ready(name)
        request = Request(model="fused", prompt=QUESTIONS[0], temperature=0.0, max_tokens=8)
        await motet.fleet["fusion"].close()
        async with motet.answer(request) as answered:
            said = "".join([chunk.text async for chunk in answered])
        assert answered.author == "ann" and said
        assert [bool(call.error) for call in answered.calls.trace] == [True, False]
