"""Pools of engines in the replica's own process: how many, where, and behind which door."""

import pytest
from tests.deploy.helpers import TEXT

from motet.composer.assembly import assemble
from motet.config import parse
from motet.deploy import cluster, graph
from motet.deploy.arguments import pool_arguments
from motet.deploy.pools import in_process
from motet.errors import ConfigError
from motet.weights import Setting


def test_a_pool_that_sleeps_begins_without_a_replica():
    text = TEXT.replace("{min: 1, max: 3}", "{min: 0, max: 3}")
    document = parse(text, env={"KEY": "s3cret"})
    pool = graph.pool(pool_arguments(document, "here"))._bound_deployment
    scaling = pool._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.initial_replicas, scaling.max_replicas) == (0, 0, 3)


@pytest.mark.parametrize(
    ("known", "told"), [({"motet-gpu-1": 1.0}, {"motet-gpu-1": 0.3}), ({"motet-gpu-0": 1.0}, {})]
)
def test_a_planned_device_is_a_resource_where_a_node_has_it(known, told):
    text = (
        "version: 1\nexperts: [{id: a, engine: fake-pool, resources: {gpus: 0.3, device: gpu-1}}]"
    )
    document = parse(text)
    (entry,), setting = document.config.experts, Setting(document.folder, document.folder)
    pool = in_process.in_process_pool(entry, setting, resources_of_nodes=lambda: known)
    pool = pool._bound_deployment
    assert pool.ray_actor_options.get("resources", {}) == told
    assert pool.ray_actor_options["num_gpus"] == 0.3
    assert cluster._planned_devices(document) == {"motet-gpu-1": 1.0}


def test_replicas_may_be_kept_apart(tmp_path):
    text = "version: 1\nexperts: [{id: a, engine: ENGINE, resources: {replicas: {max: 3, per_node: 1}}}]"
    document = parse(text.replace("ENGINE", "fake-pool"))
    pool = graph.pool(pool_arguments(document, "a"))
    assert pool._bound_deployment._replica_config.max_replicas_per_node == 1
    with pytest.raises(
        ConfigError, match=r"replicas.per_node: a pool of vLLM is a placement group"
    ):
        assemble(parse(text.replace("ENGINE", "vllm, model: x")))


def config_of(engine, replicas):
    text = f"version: 1\nexperts: [{{id: a, {engine}, resources: {{replicas: {replicas}}}}}]"
    document = parse(text)
    pool = graph.pool(pool_arguments(document, "a"))._bound_deployment
    if pool.name.endswith("-door"):  # Serve takes no router of ours on the root
        pool = pool.init_args[0]._bound_deployment
    return pool._deployment_config.request_router_config.request_router_class


@pytest.mark.parametrize(
    ("replicas", "chosen"),
    [
        ("{max: 2, prefix_affinity: true}", True),
        ("{max: 2}", False),
        ("{max: 1, prefix_affinity: true}", False),
    ],
)
def test_pools_without_such_a_cache_have_to_ask_for_it(replicas, chosen):
    assert config_of("engine: fake-pool", replicas).endswith("PrefixRouter") is chosen
