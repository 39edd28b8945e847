"""vLLM's sleep, on a fake engine that has the real one's signatures: nothing here has a GPU."""

import inspect
from unittest.mock import create_autospec

import pytest

from motet.config import parse
from motet.deploy.pools.sleeping import EXTENSION, Sleeper
from motet.deploy.residency.replica import Here
from motet.errors import ExpertUnavailable
from motet.experts.footprint import Footprint
from motet.weights import Setting

GIB = 2**30
WEIGHTS, CACHE = 6 * GIB, 2 * GIB


class Gpu:
    """Memory of one GPU; `left` is what others and the engine leave of it."""

    def __init__(self, left=4 * GIB):
        self.left = left


class Client:
    """`AsyncLLM` as far as sleeping goes.

    Attributes
    ----------
    weights, cache
        What of them is on the GPU: `None`, `garbage` or `whole`.
    """

    def __init__(self, gpu, works=True):
        self._gpu, self._works = gpu, works
        self.weights = self.cache = "whole"
        self.calls = []
        self.closed = False

    async def sleep(self, level=1, mode="abort"):
        self.calls.append(("sleep", level))
        if self._works:
            self._kept = level == 1
            self.weights = self.cache = None
            self._gpu.left += WEIGHTS + CACHE

    async def wake_up(self, tags=None):
        self.calls.append(("wake_up", tags))
        if tags is None or "weights" in tags:
            self._gpu.left -= WEIGHTS
            self.weights = "whole" if self._kept else "garbage"
        if tags is None or "kv_cache" in tags:
            self._gpu.left -= CACHE
            self.cache = "whole" if tags is None else "stale"
        assert self._gpu.left >= 0, "out of memory"
        return True

    async def collective_rpc(self, method, timeout=None, args=(), kwargs=None):  # noqa: ASYNC109
        if method == "free_bytes":
            return [self._gpu.left]
        self.calls.append((method,))
        assert method == "reload_weights" and self.weights == "garbage"
        assert self.cache is None, "reading would not find room beside the cache"
        self.weights = "whole"

    async def reset_prefix_cache(self, reset_running_requests=False, reset_connector=False):
        self.calls.append(("reset_prefix_cache",))
        self.cache = "whole"
        return True

    async def check_health(self):
        pass

    def shutdown(self, timeout=None):
        self.closed = True


def sleeper(client, weights=WEIGHTS, adapters=False):
    return Sleeper(client, weights, adapters=adapters)


async def test_weights_stay_in_the_host_while_it_has_room():
    gpu = Gpu()
    client = Client(gpu)
    found = sleeper(client)
    assert await found.sleep(WEIGHTS)
    assert (found.level, found.kept, found.freed) == (1, WEIGHTS, WEIGHTS + CACHE)
    await found.wake("e")
    assert client.calls == [("sleep", 1), ("wake_up", None)]
    assert (found.level, found.kept, gpu.left) == (0, 0, 4 * GIB)


@pytest.mark.parametrize(("weights", "room"), [(WEIGHTS, WEIGHTS - 1), (None, 99 * GIB)])
async def test_else_they_are_read_again(weights, room):
    client = Client(Gpu())
    found = sleeper(client, weights)
    assert await found.sleep(room)
    assert (found.level, found.kept) == (2, 0)
    await found.wake("e")
    assert client.calls == [
        ("sleep", 2),
        ("wake_up", ["weights"]),
        ("reload_weights",),
        ("wake_up", ["kv_cache"]),
        ("reset_prefix_cache",),
    ]
    assert (client.weights, client.cache) == ("whole", "whole")


async def test_nothing_wakes_blind():
    gpu = Gpu()
    client = Client(gpu)
    found = sleeper(client)
    await found.sleep(0)
    gpu.left -= 5 * GIB  # somebody else has come
    with pytest.raises(ExpertUnavailable, match="waking takes 8192MiB, and its GPU has 7168MiB"):
        await found.wake("e")
    assert client.calls == [("sleep", 2)] and found.level == 2
    gpu.left += 5 * GIB
    await found.wake("e")
    assert client.weights == "whole"


async def test_where_sleep_frees_nothing_it_says_so():
    assert not await sleeper(Client(Gpu(), works=False)).sleep(WEIGHTS)


async def test_adapters_would_not_survive_level_two():
    client = Client(Gpu())
    assert not await sleeper(client, adapters=True).sleep(0)
    assert client.calls == []
    assert await sleeper(client, adapters=True).sleep(WEIGHTS)


@pytest.mark.engine
async def test_our_calls_bind_to_vllms_signatures():
    """A vLLM that changes them fails here, and not on somebody's GPU."""
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.worker.gpu_worker import Worker

    for name, fake in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(fake).parameters.keys() == inspect.signature(getattr(AsyncLLM, name)).parameters.keys()  # fmt: skip
    client = create_autospec(AsyncLLM, instance=True, spec_set=True)
    client.collective_rpc.return_value = [GIB]
    found = sleeper(client)
    for room in (0, WEIGHTS):
        await found.sleep(room)
        found.freed = GIB
        await found.wake("e")
    client.shutdown()
    inspect.signature(Worker.reload_weights).bind(None)
    assert not hasattr(Worker, "free_bytes"), "vLLM refuses an extension that hides its own"


TEXT = """
version: 1
experts: [{id: e, engine: vllm, model: org/e, resources: {gpus: 0.5, memory: 2GiB}}]
residency: {memory: 20GiB}
"""


@pytest.mark.engine
async def test_a_replica_lets_its_engine_sleep(monkeypatch, tmp_path):
    from ray.llm._internal.serve.core.server import llm_server

    from motet.deploy.pools import vllm

    gpu = Gpu()
    started = []

    class Engine:
        """Ray's `VLLMEngine`, as far as the replica asks it."""

        def __init__(self, config):
            self._engine_client = Client(gpu)
            started.append(self._engine_client)

        async def start(self):
            gpu.left -= WEIGHTS + CACHE

        async def check_health(self):
            await self._engine_client.check_health()

    class Pool(vllm.VllmPool):
        _default_engine_cls = Engine

        def __del__(self):
            """End quietly: Ray's own is a coroutine, which Serve awaits."""

    async def place():
        return "node:gpu-0"

    gpu.left = 12 * GIB
    monkeypatch.setattr(llm_server, "push_telemetry_report_for_all_models", lambda **_: None)
    here = Here(lambda: "node", place, account=lambda *_: Footprint(WEIGHTS, CACHE))
    document = parse(TEXT)
    (entry,), setting = document.config.experts, Setting(folder=tmp_path, cache=tmp_path)
    config = vllm.llm_config(entry, setting, swapped=True)
    (bundle,) = config.placement_group_config["bundles"]
    assert bundle["GPU"] == 0.01, "Ray must place all, whoever has the memory"
    assert config.engine_kwargs["enable_sleep_mode"] is True
    assert config.engine_kwargs["worker_extension_cls"] == EXTENSION

    pool = Pool.__new__(Pool)
    await pool.__init__(config, entry=entry, setting=setting, swapped=True, here=here)
    assert not started and (await pool.standing()).free is None
    assert await pool.size() == WEIGHTS + CACHE
    up = await pool.load()
    assert (up.loaded, up.device, up.free, up.kept) == (True, "node:gpu-0", 4 * GIB, 0)
    away = await pool.unload(WEIGHTS)
    assert (away.loaded, away.free, away.kept) == (False, 12 * GIB, WEIGHTS)
    gpu.left = GIB
    assert "waking takes" in str(await pool.load())
    gpu.left = 12 * GIB
    assert (await pool.load()).kept == 0
    assert (await pool.unload(0)).kept == 0 and (await pool.load()).loaded
    assert len(started) == 1, "it was the same engine all along"

    async def broken(tags=None):
        raise RuntimeError("CUDA error")

    await pool.unload(0)
    started[0].wake_up = broken
    assert "CUDA error" in str(await pool.load()) and started[0].closed
    assert (await pool.load()).loaded and len(started) == 2, "a new one is made"
    await pool.check_health()
