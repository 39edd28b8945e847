"""Pools of vLLM: what its engine, and Ray, are told."""

import pytest
from tests.deploy.helpers import TEXT

from motet.composer.assembly import assemble
from motet.config import parse
from motet.deploy import graph


@pytest.mark.engine
def test_a_share_of_a_gpu_is_told_to_vllm(document):
    """Its check at start asks for a share of the whole GPU, however the cache is sized."""
    from motet.deploy.pools.vllm import _engine_args

    def told(**resources):
        text = TEXT.replace("model: org/name}", f"model: org/name, resources: {resources}}}")
        made = parse(text, env={"KEY": "s3cret"})
        expert = assemble(made, graph.builder(made)).experts["org/base"]
        return _engine_args(expert.entry, expert.options, expert.setting)

    shared = told(gpus=0.5, memory=2**30)
    assert (shared["kv_cache_memory_bytes"], shared["gpu_memory_utilization"]) == (2**30, 0.46)
    assert "gpu_memory_utilization" not in told(gpus=2)
    assert told(gpus=2)["tensor_parallel_size"] == 2
    assert "gpu_memory_utilization" not in told(memory=2**30)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("replicas", "chosen"),
    [("{max: 2}", True), ("{max: 2, prefix_affinity: false}", False), ("{}", False)],
)
def test_pools_of_vllm_have_it(replicas, chosen, tmp_path):
    from motet.deploy.pools.vllm import llm_config
    from motet.weights import Setting

    text = f"version: 1\nexperts: [{{id: a, engine: vllm, model: m, resources: {{replicas: {replicas}}}}}]"
    (entry,) = parse(text).config.experts
    found = llm_config(entry, Setting(folder=tmp_path, cache=tmp_path), swapped=False)
    assert ("request_router_config" in found.deployment_config) is chosen
