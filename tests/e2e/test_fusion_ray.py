"""A fusion as a pool on a real Ray, of random models: the decision reaches it, and so does leaving."""

import httpx
import pytest
from tests.conftest import wait_for
from tests.e2e.conftest import served
from tests.fusion.world import QUESTIONS, make_world, opened

from motet.fusion.artifact import save

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """
version: 1
experts:
  - {id: ann, engine: transformers, model: ann, optional: true}
  - {id: bob, engine: transformers, model: bob, optional: true}
  - {id: cid, engine: transformers, model: cid, optional: true}
  - {id: fusion, engine: latent, artifact: art, dtype: float32}
routers:
  r: {kind: constant, expert: ann, fallbacks: [bob, fusion]}
compositions:
  fused: {router: r, strategy: {kind: latent, expert: fusion}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("fusion_ray"))
    save(world.folder / "art", world.card, opened(world.layers))
    config = world.folder / "experts.yaml"
    config.write_text(CONFIG)
    with served(config, world.folder / "log", "Motet answers at", 120) as found:
        wait_for(lambda: found.get("/ready").json()["experts"]["fusion"]["state"] == "ready", 120)
        yield found


def ask(service, model, question=QUESTIONS[0], **fields):
    body = {"model": model, "prompt": question, "temperature": 0, "max_tokens": 20, **fields}
    return httpx.post(f"{service.url}/v1/completions", json=body, timeout=60)


def test_a_pool_answers_for_those_that_are_named(service):
    said = {}
    for peers in ([], ["bob"], ["bob", "cid"]):
        named = {"primary": "ann", "peers": peers}
        answers = [ask(service, "fusion", question, fusion=named) for question in QUESTIONS]
        assert {answer.status_code for answer in answers} == {200}, answers[0].text
        said[len(peers)] = tuple(answer.json()["choices"][0]["text"] for answer in answers)
        streamed = ask(service, "fusion", fusion=named, stream=True)
        assert streamed.text.count("data: ") > 3
    assert len(set(said.values())) > 1
    refused = ask(service, "fusion", fusion={"primary": "anne"})
    assert refused.status_code == 400 and "Did you mean 'ann'" in refused.text


def test_the_composition_fuses_whom_the_decision_names(service):
    answer = ask(service, "fused")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-motet-experts"].startswith("fusion")
