"""Fitted compositions over HTTP: from a recorded table to an answer of a running service."""

import json

import pytest
from tests.api.events import events
from tests.composer.fitted.world import EXPERTS, write
from tests.conftest import running

from motet.lab.compositions.ballots import Aim, fit_cascade, fit_vote
from motet.tables import read_recorded

ANSWERS = {"cheap": "The answer is 41", "sums": "So: 42", "hues": "7", "dear": '{"answer": "42"}'}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    table = read_recorded(write(folder / "t.parquet", 120, 0), tuple(EXPERTS), needs=("answer",))
    fit_vote(table).save(folder / "vote", "vote", {})
    made, _, _ = fit_cascade(table, Aim("accuracy", 0.9))
    made.save(folder / "cascade", "cascade", {})
    experts = "".join(
        f"  - {{id: {name}, engine: fake, tokens: [{json.dumps(text)}]}}\n"
        for name, text in ANSWERS.items()
    )
    config = f"""
version: 1
experts:
{experts}
routers: {{r: {{kind: constant, expert: cheap}}}}
compositions:
  vote: {{router: r, strategy: {{kind: vote, artifact: {folder}/vote}}}}
  cascade: {{router: r, strategy: {{kind: cascade, artifact: {folder}/cascade}}}}
"""
    with running(config) as up:
        yield up


@pytest.mark.parametrize("model", ["vote", "cascade"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_sum_is_left_to_who_can_add(service, model, stream):
    ask = "add the numbers 20 plus 22, case new"
    body = {"model": model, "messages": [{"role": "user", "content": ask}], "stream": stream}
    answer = service.post("/v1/chat/completions", body)
    assert answer.status_code == 200
    if stream:
        deltas = [event["choices"][0]["delta"] for event in events(answer) if event["choices"]]
        said = "".join(delta.get("content") or "" for delta in deltas)
    else:
        said = answer.json()["choices"][0]["message"]["content"]
    assert "42" in said and "41" not in said
    if model == "cascade" and not stream:
        choice = answer.json()["choices"][0]
        assert 0 < choice["confidence"] <= 1 and choice["unsure"] in (False, True)
