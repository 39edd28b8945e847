"""A cluster as it is started, without starting one."""

import pytest
from ray.exceptions import ActorDiedError
from tests.deploy.residency.pools import TEXT

from motet.config import parse
from motet.deploy import cluster
from motet.errors import ConfigError, DeployError


def test_ray_gets_enough_logical_cpus(document):
    # One for Ray itself, the ingress, two for vLLM, one for each of three replicas.
    assert cluster._logical_cpus(document) >= 1 + 0.2 + 2 + 3


def test_a_serve_that_dies_at_its_start_is_told_in_a_sentence(monkeypatch, document):
    def die(**_):
        raise ActorDiedError

    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("ray.serve.start", die)
    with pytest.raises(DeployError, match="Cannot start Ray: .*died"):
        cluster.start(document)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{replicas: {min: 0}}", "resources.replicas: with residency a pool has one replica"),
        ("{replicas: {max: 2}}", "resources.replicas: with residency a pool has one replica"),
        ("{gpus: 2}", "resources.gpus: with residency an expert lives on one GPU, not on 2"),
    ],
)
def test_pools_that_cannot_be_swapped_are_refused(resources, said):
    text = TEXT.replace("tokens: [a], resources: {memory: 1MiB}", f"resources: {resources}")
    with pytest.raises(ConfigError, match=said):
        cluster.check(parse(text))
