"""The applications of a config, without starting Ray."""

import pytest
from tests.deploy.residency.pools import TEXT

from motet.config import parse
from motet.deploy import cluster, graph
from motet.deploy.arguments import (
    adapters,
    ingress_arguments,
    pool_arguments,
    pools_of,
    swapper_arguments,
)
from motet.deploy.manifests import serve_config
from motet.deploy.names import SWAPPER, pool_of
from motet.errors import UnknownModel
from motet.experts.build import holds_model


def test_pools(document):
    assert [name for name, _ in pools_of(document)] == ["org/base", "here"]
    assert adapters(document, "org/base") == ["lora"]
    assert [holds_model(entry) for entry in document.config.experts] == [False, True, False, True]


def test_builders(document, monkeypatch):
    monkeypatch.setenv("KEY", "s3cret")
    args = ingress_arguments(document)
    assert graph.ingress(args)._bound_deployment.num_replicas == 2
    pool = graph.pool(pool_arguments(document, "here"))._bound_deployment
    assert pool.name == "motet-pool-here"
    assert pool._deployment_config.autoscaling_config.max_replicas == 3
    assert 0 < pool.max_queued_requests < 10_000 and 0 < pool.max_ongoing_requests < 10_000
    with pytest.raises(UnknownModel):
        graph.pool({**args, "expert": "lora"})


def test_it_is_deployed_beside_the_pools():
    document = parse(TEXT)
    cluster.check(document)
    content = serve_config.of(document)
    apps = {app["name"]: app for app in content["applications"]}
    assert list(apps) == ["motet", SWAPPER, *(pool_of(name) for name in ("a", "b", "home"))]
    assert apps[pool_of("a")]["args"]["swapped"] is True
    assert "residency" not in apps[pool_of("a")]["args"]["config"], "it is no reason to restart"
    found = graph.swapper(apps[SWAPPER]["args"])._bound_deployment
    assert found.num_replicas == 1
    assert "swapped" not in pool_arguments(document, "a"), "a batch loads it at once"


def test_a_config_that_is_renamed_restarts_no_pool(tmp_path):
    renamed, before = (parse(TEXT, name=name, folder=tmp_path) for name in ("a.yaml", "b.yaml"))
    assert pool_arguments(renamed, "a") == pool_arguments(before, "a")
    assert swapper_arguments(renamed) == swapper_arguments(before)


def test_an_id_may_come_from_the_environment():
    text = (
        "version: 1\nexperts:\n  - {id: '${NAME}', engine: fake-pool}\n  - {id: b, engine: fake}\n"
    )
    document = parse(text, env={"NAME": "a"})
    assert pool_arguments(document, "a")["expert"] == "a"
