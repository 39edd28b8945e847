"""Encoders in ingress replicas and in a pool of their own, and ensembles, on a real Ray."""

import httpx
import numpy as np
import pytest
from tests.conftest import wait_for
from tests.e2e.conftest import served
from tests.encoders.words import word_encoder

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

CONFIG = """
version: 1
experts: [{{id: echo, engine: fake}}]
encoders:
  - {{id: here, engine: encoder, model: {encoder}, backend: torch}}
  - {{id: pooled, engine: encoder-pool, model: {encoder}, backend: torch}}
classifiers:
  - {{id: letters, engine: classifier, model: letters}}
  - {{id: words, engine: classifier, model: words}}
moderations:
  guard: {{members: [letters, words]}}
service: {{replicas: 2}}
store: {{path: kept.db}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    config = folder / "experts.yaml"
    config.write_text(CONFIG.format(encoder=word_encoder(folder / "encoder")))
    with served(config, folder / "log", "Press Ctrl-C", 200) as found:
        wait_for(lambda: found.get("/ready").json()["complete"], 60)
        yield found


def post(service, path, body):
    return httpx.post(f"{service.url}{path}", json=body, timeout=60)


def test_a_pool_says_what_the_ingress_says(service):
    texts = ["the court of the judge", "rope", "wind and sail"]
    vectors = {}
    for model in ("here", "pooled"):
        answer = post(service, "/v1/embeddings", {"model": model, "input": texts})
        assert answer.status_code == 200, answer.text
        said = answer.json()
        vectors[model] = np.array([each["embedding"] for each in said["data"]])
        assert said["model"] == model and said["usage"]["prompt_tokens"] == 9
    np.testing.assert_allclose(vectors["here"], vectors["pooled"], atol=1e-6)
    fault = post(service, "/v1/embeddings", {"model": "pooled", "input": [1, 2]})
    assert fault.status_code == 400 and "takes texts, and no token ids" in fault.text


def test_an_ensemble_learns_on_whichever_replica_is_asked(service):
    for number in range(4):
        body = {"input": "I want to kill my boss.", "model": "guard"}
        answer = post(service, "/v1/moderations", body).json()
        assert answer["results"][0]["categories"]["violence"]
        label = {"id": answer["id"], "categories": {"violence": False}}
        told = post(service, "/v1/moderations/labels", label)
        assert told.status_code == 200 and told.json()["labels"] == number + 1, told.text
        assert told.json()["regret"] <= told.json()["bound"]
