"""The encoder of a query's domain (RouterRetriever, Lee et al., arXiv 2409.02685)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from motet.config import Options, Setting
from motet.encoders.domains import Domains, domain_facts
from motet.encoders.encoder import Backend
from motet.errors import ArtifactError, ConfigError, RequestError
from motet.routers.base import Router
from motet.routers.loading import Loading, fall_back
from motet.types import Asks, Choice, Decision, Fleet, Request, Task
from motet.wording import did_you_mean, listed

if TYPE_CHECKING:
    from motet.encoders.live import Batcher, Encoders


class RetrieverConfig(Options):
    """Options of `kind: retriever`."""

    artifact: str
    """Folder that `motet encoder fit` wrote."""
    encoders: dict[str, str] = Field(default_factory=dict)
    """The encoder of each domain of the artifact; by default the one that has the domain's name."""
    documents: str | None = None
    """The encoder for texts of `input_type: document`: the base, whose vectors of documents all
    experts of an artifact share. Without one such texts are refused here, for each encoder has an
    index of its own."""
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    """Below this chance of the nearest domain, the fallback embeds the query."""
    fallback: str | None = None
    """The encoder of queries whose domain is not sure, such as one trained on all domains
    together."""
    encoder: str | None = None
    """Where the base is, if not under the name that the artifact has."""
    backend: Backend = "auto"
    """What computes it; `auto` is OpenVINO where it is installed and there is no GPU."""


class RetrieverRouter(Router):
    """Sends a query to the encoder whose training questions are nearest on average."""

    Config = RetrieverConfig
    task = Task.EMBED
    options: RetrieverConfig

    def __init__(self, name: str, options: RetrieverConfig, setting: Setting) -> None:
        super().__init__(name, options, setting)
        self._setting = setting
        self._folder = Path(setting.folder, options.artifact).expanduser()
        try:
            facts = domain_facts(self._folder)
        except ArtifactError as error:
            raise ConfigError(str(error), at=("artifact",)) from error
        self.artifact = str(facts["sha256"])
        domains: list[str] = facts["domains"]
        for domain in options.encoders:
            if domain not in domains:
                raise ConfigError(
                    f"the artifact knows no domain {domain!r}. {did_you_mean(domain, domains)}",
                    at=("encoders", domain),
                )
        self._encoders = [options.encoders.get(domain, domain) for domain in domains]
        for domain, encoder in zip(domains, self._encoders, strict=True):
            at = ("encoders", domain) if domain in options.encoders else ("encoders",)
            self._check(encoder, f" for the domain {domain!r}", *at)
        for field in ("documents", "fallback"):
            if (named := getattr(options, field)) is not None:
                self._check(named, "", field)
        self._loading = Loading(lambda: asyncio.to_thread(self._load))

    def _check(self, encoder: str, what: str, *at: str) -> None:
        known = self._setting.encoding
        if encoder not in known:
            raise ConfigError(
                f"no encoder {encoder!r}{what}. {did_you_mean(encoder, known)}", at=at
            )

    async def start(self) -> None:
        """Load the artifact and its base encoder, in a thread.

        Raises
        ------
        ArtifactError
            The artifact is damaged, or the encoder is not the one it was made with.
        SourceError
            The encoder cannot be had.
        """
        await self._loading.get()

    def _load(self) -> tuple[Domains, Batcher]:
        domains = Domains.load(self._folder)
        encoders: Encoders | None = self._setting.encoders
        assert encoders is not None
        live = encoders.live(self.options.encoder or domains.encoder, self.options.backend)
        domains.check(live.encoder)
        return domains, live.batcher

    async def route(self, request: Request, fleet: Fleet, calls: Asks) -> Decision | None:
        """Return the fleet's encoders, nearest first; None when none of them is there.

        Raises
        ------
        RequestError
            Documents are to be embedded, and no encoder is named for them.
        """
        if request.texts is not None and request.texts.role == "document":
            return self._for_documents(request, fleet)
        domains, batcher = await self._loading.get()
        chances = domains.chances((await batcher.embed(request.text))[None])[0]
        return self._nearest(dict(zip(domains.names, map(float, chances), strict=True)), fleet)

    def _for_documents(self, request: Request, fleet: Fleet) -> Decision | None:
        encoder = self.options.documents
        if encoder is None:
            raise RequestError(
                f"input_type: {request.model!r} chooses an encoder for each query, and documents "
                f"are searched by all of them: {listed(sorted(set(self._encoders)))}.",
                hint="Embed documents with each encoder by its name, or name one in 'documents'.",
                param="input_type",
            )
        if encoder not in fleet:
            return None
        return Decision(
            choices=(Choice(encoder),), router=self.name, reason="the encoder of documents"
        )

    def _nearest(self, chances: dict[str, float], fleet: Fleet) -> Decision | None:
        encoder_of = dict(zip(chances, self._encoders, strict=True))
        order = sorted(chances, key=lambda domain: -chances[domain])
        there = [domain for domain in order if encoder_of[domain] in fleet]
        if not there:
            return fall_back(self.name, self.options.fallback, fleet, "no other is there", ())
        best: dict[str, float] = {}  # several domains may share an encoder
        for domain in there:
            best.setdefault(encoder_of[domain], chances[domain])
        choices = tuple(Choice(encoder, chance) for encoder, chance in best.items())
        first = there[0]
        reason = f"nearest to the questions of {first!r} ({chances[first]:.2f})"
        if len(there) > 1:
            reason += f", then {there[1]!r} ({chances[there[1]]:.2f})"
        if chances[first] < self.options.min_confidence:
            why = f"confidence is under {self.options.min_confidence:g}; {reason}"
            unsure = fall_back(self.name, self.options.fallback, fleet, why, choices)
            if unsure is not None:
                return unsure
        return Decision(
            choices=choices,
            router=self.name,
            reason=reason,
            confidence=round(chances[first], 4),
        )
