"""The engines of one device, as the swapper sees them through their replicas."""

from dataclasses import replace

from tests.deploy.residency.pools import Cluster

from motet.deploy.residency.engines import PoolEngines, SwappedPool


async def test_room_in_the_host_is_shared_by_a_node(tmp_path):
    found = Cluster(tmp_path)
    pools = {name: SwappedPool(entry, found) for name in ("a", "b") for entry in found.document.config.experts if entry.id == name}  # fmt: skip
    said = await (await found.start_pool("a")).standing()
    pools["a"].said = replace(said, kept=30, host_free=1000)
    pools["b"].said = replace(said, host_free=1000)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 70
    pools["b"].said = replace(said, host_free=5)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 5
    pools["b"].said = replace(said, node="another", host_free=1000)
    assert PoolEngines(pools, "node", 100)._host_room(pools["b"].said) == 100
