"""The structure of `experts.yaml`. Field descriptions here become docs/config.md.

Options that belong to one engine, router or strategy are not named here: each such class has
its own `Config`, checked in a second phase against the keys this schema leaves over.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import (
    ByteSize,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from motet.config.keys import Keys, Secret
from motet.config.moderation import ModerationEntry, ScreenEntry
from motet.config.options import Name, Options
from motet.config.sessions import Sessions
from motet.config.store import Store
from motet.config.telemetry import Telemetry
from motet.types import Capability


class PriceEntry(Options):
    """What an expert's tokens cost."""

    input: NonNegativeFloat = 0.0
    """USD per million prompt tokens."""
    output: NonNegativeFloat = 0.0
    """USD per million generated tokens."""
    cached_input: NonNegativeFloat | None = None
    """USD per million prompt tokens that its prompt cache holds; those of `input` when absent.
    What a `sticky` router weighs before it leaves an expert."""


class Replicas(Options):
    """How many replicas a pool may have."""

    min: NonNegativeInt = 1
    """Replicas kept at all times; with 0 the pool sleeps until it is asked, and again when idle."""
    max: PositiveInt = 1
    """Replicas under load."""
    per_node: PositiveInt | None = None
    """Most replicas on one node of a cluster; 1 spreads them. Not for pools of vLLM."""
    prefix_affinity: bool | None = None
    """Whether a request goes to the replica that has read its beginning before, unless that is
    much busier than another. When absent, so for pools of vLLM, whose engine caches prefixes."""

    @model_validator(mode="after")
    def _ordered(self) -> Replicas:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is over max {self.max}")
        return self


class Resources(Options):
    """What one replica of a pool takes."""

    gpus: NonNegativeFloat = 0.0
    """GPUs a replica; a fraction shares one, 0 runs on the CPU."""
    memory: ByteSize | None = None
    """Memory for the key-value cache, such as `2GiB`; the engine's default when absent."""
    device: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    """Planned device that replicas live on, such as `h100-0`: on the Ray node that was started with
    `--resources='{"motet-h100-0": 1}'`. Where no node was, Ray chooses. `motet deploy --plan`
    writes it."""
    replicas: Replicas = Replicas()
    """Bounds of autoscaling."""


class ExpertEntry(Options):
    """One expert: a language model that can answer. Its engine adds fields of its own."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    id: Name
    """The expert's name, also its model name to clients."""
    engine: str
    """What serves it: `vllm`, `transformers`, `openai`, `fake`, or a plug-in's name."""
    context: PositiveInt | None = None
    """Longest prompt plus answer, in tokens."""
    capabilities: frozenset[Capability] | None = None
    """What it can do, where the engine's own list is wrong for this model."""
    skills: tuple[str, ...] = ()
    """Words for what it is good at, read by routers."""
    price: PriceEntry = PriceEntry()
    """What its tokens cost."""
    description: str = ""
    """One sentence for people and for routers that read descriptions."""
    license: str = ""
    """Licence of the weights, shown at start."""
    optional: bool = False
    """Whether the service is whole without it."""
    enabled: bool = True
    """Whether it is asked at all; `motet experts disable` and `enable` write it."""
    resources: Resources = Resources()
    """What a replica of its pool takes (engines that run here)."""
    pinned: bool = False
    """Whether it stays in memory whatever others need (with `residency`, and in `motet plan`)."""

    @property
    def options(self) -> dict[str, Any]:
        """The fields that belong to the engine."""
        return dict(self.model_extra or {})

    @property
    def base(self) -> str | None:
        """The expert whose engine this one shares as an adapter; None for one with its own."""
        base = (self.model_extra or {}).get("base")
        return None if base is None else str(base)

    @property
    def host(self) -> str:
        """The expert whose engine answers: this one, or its base."""
        return self.base or self.id


class Component(Options):
    """A router or a strategy: its kind, and the options of that kind."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    kind: str
    """Which one; `motet check` lists the known kinds."""

    @property
    def options(self) -> dict[str, Any]:
        """The fields that belong to the kind."""
        return dict(self.model_extra or {})


class Limits(Options):
    """Bounds of one request; a composition's own come before the service's."""

    deadline_s: PositiveFloat = 120.0
    """Seconds from arrival to the last byte."""
    expert_calls: PositiveInt = 16
    """Expert calls a request may start: those of its router, and retries on other experts, are
    counted too."""
    total_tokens: PositiveInt | None = None
    """Tokens, read and generated, over all expert calls."""
    cost_usd: PositiveFloat | None = None
    """USD over all expert calls."""


class CompositionEntry(Options):
    """A named pair of router and strategy; its name is a model name to clients."""

    router: Name
    """A name from `routers`."""
    strategy: Component = Component(kind="single")
    """How the chosen experts become one answer."""
    limits: Limits | None = None
    """Bounds for this composition, instead of the service's."""
    screen: ScreenEntry | None = None
    """What judges its prompts and answers."""
    description: str = ""
    """One sentence for people."""


class Batches(Options):
    """Batches over HTTP: `/v1/files` and `/v1/batches`. They are kept in the `store`."""

    max_file_bytes: ByteSize = ByteSize(200 * 1024 * 1024)
    """Largest file that can be uploaded."""
    upload_timeout_s: PositiveFloat = 600.0
    """Seconds that one upload may take in all."""
    max_kept_bytes: ByteSize = ByteSize(4 * 1024 * 1024 * 1024)
    """What the files of one key may hold together, results of batches included."""
    max_lines: PositiveInt = 50_000
    """Most requests in one batch."""
    concurrency: PositiveInt = 16
    """Requests of a batch that one expert answers at once."""
    at_once: PositiveInt = 4
    """Batches that one ingress replica runs at once."""

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, value: Any) -> Any:
        if isinstance(value, dict) and "store" in value:
            raise ValueError(
                "'store' has moved: batches are kept with all else that is. Write store: "
                "{path: FILE} as a section of its own, with the same file to keep what is in it"
            )
        return value


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is this machine's own, which no other can reach."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


class Service(Options):
    """The HTTP service."""

    host: str = "127.0.0.1"
    """Address to bind. Loopback unless you say otherwise."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to bind; 0 takes a free one (`motet serve --local` only)."""
    api_keys: tuple[Secret, ...] = ()
    """Keys that clients must send, as bearer tokens or in the header `x-api-key`; the short form of
    `keys`. None in either leaves the service open. Use `${ENV}`."""
    open_to_all: bool = False
    """Whether a service that others than this machine can reach may start without keys."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may ask from a browser, such as `https://chat.example.org`, or `*`. On
    loopback, pages of this machine always may."""
    max_body_bytes: ByteSize = ByteSize(8 * 1024 * 1024)
    """Largest request body."""
    body_timeout_s: PositiveFloat = 30.0
    """Seconds a client has to send its whole body."""
    replicas: PositiveInt = 1
    """Ingress replicas on Ray Serve."""
    ongoing_requests: PositiveInt = 1024
    """Requests one ingress replica works on at once."""
    queued_requests: NonNegativeInt = 2048
    """Requests that may wait beyond those before the service answers 503."""
    health_interval_s: PositiveFloat = 1.0
    """Seconds between health checks of each expert."""
    limits: Limits = Limits()
    """Bounds of a request where its composition gives none."""
    batches: Batches = Batches()
    """Batches over HTTP."""


class Residency(Options):
    """More experts than memory: they are loaded when they are asked for, and leave for others."""

    memory: ByteSize
    """Memory that loaded experts may take together, such as `4GiB`: weights as they are counted in
    memory, and each expert's `resources.memory` for keys and values. On a cluster, on each device:
    each node's memory, and each GPU."""
    host_memory: ByteSize = ByteSize(0)
    """Memory of each node for the weights of experts that sleep beside a GPU; those for which it
    has no room read them from the disk again."""
    policy: Literal["worth", "lru", "in-order"] = "worth"
    """Who comes and who leaves. `worth` weighs seconds of loading, recent requests and who waits;
    `lru` and `in-order` are there to compare."""
    max_wait_s: PositiveFloat = 45.0
    """Seconds a request waits for its expert to be loaded, or for its turn on it, before it is
    refused or goes to the next expert. Below `first_chunk_s` of the strategy, so that it is told
    why."""
    max_waiting: PositiveInt = 256
    """Requests that may wait at once; more are refused as overload."""
    turn_s: PositiveFloat = 10.0
    """Seconds a busy expert keeps its place while requests wait for one that does not fit."""


class Config(Options):
    """The whole file."""

    version: Literal[1]
    """Version of this format."""
    experts: list[ExpertEntry] = Field(min_length=1)
    """The fleet, at least one."""
    encoders: list[ExpertEntry] = Field(default_factory=list)
    """Encoders, which `/v1/embeddings` asks: entries as those of `experts`, of engines that turn
    texts to vectors."""
    classifiers: list[ExpertEntry] = Field(default_factory=list)
    """Classifiers, which ensembles and `/v1/moderations` ask: entries of engines that judge
    texts."""
    moderations: dict[Name, ModerationEntry] = Field(default_factory=dict)
    """Ensembles of classifiers and experts by name, which is a model name at `/v1/moderations`."""
    routers: dict[Name, Component] = Field(default_factory=dict)
    """Routers by name."""
    residency: Residency | None = None
    """Loading experts on demand within a bound of memory; without it every expert is loaded at
    start."""
    compositions: dict[Name, CompositionEntry] = Field(default_factory=dict)
    """Compositions by name."""
    service: Service = Service()
    """The HTTP service."""
    store: Store = Store()
    """What is kept, and where."""
    sessions: Sessions = Sessions()
    """What is remembered of conversations."""
    telemetry: Telemetry = Telemetry()
    """Traces and logs."""
    keys: Keys = ()
    """Who may ask, what for, and how much."""

    @model_validator(mode="after")
    def _guarded(self) -> Config:
        return guarded(self)

    @property
    def members(self) -> dict[str, list[ExpertEntry]]:
        """Everything that is asked by its id, by the section it stands in."""
        return {
            "experts": self.experts,
            "encoders": self.encoders,
            "classifiers": self.classifiers,
        }

    @property
    def served(self) -> list[ExpertEntry]:
        """The entries of all those sections."""
        return [entry for entries in self.members.values() for entry in entries]


def guarded(config: Config) -> Config:
    """Return a config, unless everybody could ask without its saying so.

    Raises
    ------
    ValueError
        Others than this machine reach the service, and no key is asked for.
    """
    service = config.service
    if not (service.api_keys or config.keys or service.open_to_all or is_loopback(service.host)):
        raise ValueError(
            f"{service.host} can be reached by others, and no api_keys are set: give keys, or "
            "write open_to_all: true to let everybody in"
        )
    return config
