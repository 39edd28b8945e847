"""What a batch asks of the engines: of this process, and of a running service."""

import pytest

from motet.batch.loading import LiveLoader, local_engines
from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import BatchError, ExpertUnavailable
from motet.experts.fleet import LiveFleet
from motet.residency.engines import Host

TEXT = """
version: 1
experts:
  - {id: far, engine: fake}
  - {id: held, engine: fake-pool}
  - {id: never, engine: fake, down: "it is broken"}
"""


async def test_what_holds_no_model_is_there_without_a_load():
    loader = local_engines(assemble(parse(TEXT)).experts)
    assert [loader.host(name) for name in ("far", "held")] == [Host("far", True), Host("held")]
    await loader.open()
    assert "far" in loader and "held" not in loader and loader.get("held") is None
    await loader.load("held")
    assert loader.expert("held").card.id == "held"
    await loader.close()
    assert "far" not in loader and "held" not in loader


def test_what_runs_on_ray_alone_is_refused():
    experts = assemble(parse("version: 1\nexperts: [{id: v, engine: vllm, model: m}]")).experts
    with pytest.raises(BatchError, match="Expert 'v': the engine 'vllm' runs on Ray"):
        local_engines(experts)


async def test_a_live_expert_is_waited_for_and_takes_nothing_more():
    fleet = LiveFleet(assemble(parse(TEXT)).experts.values(), health_interval_s=0.01)
    loader = LiveLoader(fleet, patience_s=0.2)
    fleet.start()
    try:
        assert await loader.sizes(["far"]) == {"far": 0} and loader.room() is None
        await loader.load("far")
        assert loader.expert("far") is fleet["far"]
        with pytest.raises(ExpertUnavailable, match="it is broken"):
            await loader.load("never")
    finally:
        await fleet.close()
