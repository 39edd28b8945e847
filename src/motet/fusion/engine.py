"""The engine `latent`: a trained fusion and all its members in one process."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from motet.config import ExpertEntry, Options, Setting
from motet.errors import ArtifactError, ConfigError, SourceError
from motet.experts.generating import GeneratingExpert
from motet.fusion.card import FIELD, check_members, read_card
from motet.generation.engine import Loaded
from motet.generation.options import GenerationOptions
from motet.generation.rows import GenerationJob
from motet.types import Request

if TYPE_CHECKING:
    from motet.fusion.serving import LoadedFusion


class LatentOptions(GenerationOptions):
    """Options of the engine `latent`."""

    artifact: Path
    """Folder that `motet fuse train` has written. Its members are experts of this file."""


class LatentExpert(GeneratingExpert):
    """A primary writes while it attends to what its peers have read.

    Who is fused comes with the request: the strategy names them, or the client of this expert in
    its field `fusion`. Without either the fusion's own router chooses by the prompt. A peer that
    fails while it reads is left out, and the answer is the one that is computed without it.

    Parameters
    ----------
    load
        Loads the artifact, called as `load_fusion` is; that one when None.

    Attributes
    ----------
    fusion
        What is loaded; None before.
    """

    Config: ClassVar[type[Options]] = LatentOptions
    own_fields = frozenset({FIELD})
    options: LatentOptions

    def __init__(
        self,
        entry: ExpertEntry,
        options: Any,
        setting: Setting,
        load: Callable[..., LoadedFusion] | None = None,
    ) -> None:
        super().__init__(entry, options, setting)
        self._load_fusion = load
        self.fusion: LoadedFusion | None = None

    @classmethod
    def models(cls, entry: ExpertEntry, setting: Setting) -> tuple[str, ...]:
        """Return the sources of all members' weights, one a member; see `Expert.models`."""
        card = read_card(setting.folder / Path(str(entry.options.get("artifact"))).expanduser())
        return tuple(member.model for member in card.members)

    def verify(self, experts: Mapping[str, ExpertEntry]) -> None:
        """Check that the artifact is there, and that its members are experts of this config.

        Raises
        ------
        ConfigError
            It is not, or they are not; both values are named.
        """
        try:
            check_members(read_card(self._artifact), experts)
        except ArtifactError as error:
            raise ConfigError(error.message, hint=error.hint, at=("artifact",)) from None

    async def close(self) -> None:
        """End open requests and free the weights of all members."""
        await super().close()
        self.fusion = None

    @property
    def _artifact(self) -> Path:
        return self.setting.folder / self.options.artifact.expanduser()

    def _load(self, keep: Callable[[Any], None]) -> Loaded:
        from motet.fusion.serving import load_fusion

        options, id = self.options, self.entry.id
        load = self._load_fusion or load_fusion
        where = {"dtype": options.dtype, "device": options.device}
        try:
            fusion = load(id, self._artifact, self.setting, keep=keep, **where)
        except ArtifactError as error:
            raise SourceError(f"Expert {id!r}: {error.message}", hint=error.hint) from error
        if self.entry.context is None and fusion.context is not None:
            self.card = dataclasses.replace(self.card, context=fusion.context)
        self.fusion = fusion

        def job(request: Request, loop: asyncio.AbstractEventLoop) -> GenerationJob:
            return fusion.job(request, loop, options, self.card.context)

        return Loaded(list(fusion.batches.values()), job, options.max_batch)
