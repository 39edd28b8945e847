"""An encoder with a pool of its own: its application, alone in what it is given."""

import json

from motet.composer.assembly import assemble
from motet.config import parse
from motet.deploy import graph
from motet.deploy.arguments import pool_arguments, pools_of
from motet.deploy.pools.client import PoolExpert
from motet.experts.encoder import EncoderExpert, PooledEncoder

CONFIG = """
version: 1
experts: [{id: echo, engine: fake}]
encoders:
  - {id: here, engine: encoder}
  - {id: pooled, engine: encoder-pool, resources: {gpus: 0.25, replicas: {min: 1, max: 3}}}
"""


def test_only_what_asks_for_a_pool_has_one():
    document = parse(CONFIG)
    assert [name for name, _ in pools_of(document)] == ["pooled"]
    arguments = pool_arguments(document, "pooled")
    assert [entry["id"] for entry in json.loads(arguments["config"])["experts"]] == ["pooled"]
    pool = graph.pool(arguments)._bound_deployment
    assert pool.ray_actor_options["num_gpus"] == 0.25
    assert pool._deployment_config.autoscaling_config.max_replicas == 3


def test_the_ingress_asks_the_pool_and_holds_the_others():
    document = parse(CONFIG)
    made = assemble(document, graph.builder(document)).experts
    assert isinstance(made["pooled"], PoolExpert) and isinstance(made["here"], EncoderExpert)


def test_in_one_process_it_is_an_encoder_like_any():
    assert isinstance(assemble(parse(CONFIG)).experts["pooled"], PooledEncoder)
