"""What a fusion artifact says of itself, as JSON: who its members are and how it was trained.

Nothing here imports a model library, so that a config with a fusion in it is checked at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import orjson
from pydantic import Field, PositiveInt, ValidationError, model_validator

from motet import files
from motet.config import ExpertEntry, Options
from motet.errors import ArtifactError
from motet.wording import did_you_mean

CARD = "fusion.json"
WEIGHTS = "fusion.safetensors"
FIELD = "fusion"
"""The field of a request that names who is fused: `{"primary": ..., "peers": [...]}`."""

Mode = Literal["A", "B"]
"""What a peer's memory covers: A the prompt, B the prompt and a draft of the peer's own."""


class MemberCard(Options):
    """One member: where its weights come from, and which they are."""

    id: str
    """The expert's id."""
    model: str
    """Source of its weights, as in experts.yaml."""
    adapter: str | None = None
    """Folder of its LoRA adapter, as in experts.yaml."""
    chat_template: str | None = None
    """File of its chat template, where it has one of its own."""
    context: PositiveInt | None = None
    """Most tokens it reads and writes."""
    revision: str = ""
    """Digest of its weights, adapter and template."""
    width: PositiveInt = 1
    """Hidden size."""


class FusionCard(Options):
    """Everything but the weights of a fusion."""

    version: Literal[3] = 3
    """Version of this format."""
    mode: Mode
    """What a peer's memory covers; the mode trained is the mode served."""
    draft_tokens: int = Field(default=0, ge=0)
    """Most tokens of a peer's draft; 0 in mode A."""
    levels: PositiveInt
    """Stacks of each member, hence levels of interaction."""
    heads: PositiveInt
    """Attention heads of a level."""
    head_width: Literal[64, 128]
    """Features of a head."""
    bridge: bool = False
    """Whether the last level is tied to the members' vocabularies."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Number format that members ran in while the fusion was trained."""
    members: tuple[MemberCard, ...] = Field(min_length=1)
    """Who was trained together."""
    primaries: tuple[str, ...] = Field(min_length=1)
    """Members that were trained to write the answer; the first reads for the router."""
    peers: PositiveInt
    """Most peers of a request."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Seed, steps, digest of the data, losses and what else was chosen."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.mode == "B") != (self.draft_tokens > 0):
            raise ValueError("mode B has draft_tokens above 0, mode A has 0")
        if unknown := [name for name in self.primaries if name not in self.ids]:
            raise ValueError(f"primary {unknown[0]!r} is no member")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """The members' ids, in the order of their indices."""
        return tuple(member.id for member in self.members)


def read_card(folder: Path) -> FusionCard:
    """Return the card of the artifact in `folder`.

    Raises
    ------
    ArtifactError
        It is absent or damaged.
    """
    try:
        return FusionCard.model_validate(orjson.loads((folder / CARD).read_bytes()))
    except OSError as error:
        raise ArtifactError(
            f"{folder} holds no fusion: {error.strerror}.", hint="Train one with motet fuse train."
        ) from None
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise ArtifactError(f"{folder / CARD} is damaged: {error}") from None


def write_card(folder: Path, card: FusionCard) -> None:
    """Write the card into `folder`, whole or not at all."""
    text = orjson.dumps(card.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    files.write_bytes(folder / CARD, text + b"\n")


def check_members(card: FusionCard, experts: Mapping[str, ExpertEntry]) -> None:
    """Check that the experts of a config are those that the artifact was trained with.

    Only names are compared here; `motet.fusion.artifact` compares the weights when it loads them.

    Raises
    ------
    ArtifactError
        A member is absent, or its weights come from elsewhere; both values are named.
    """
    for member in card.members:
        entry = experts.get(member.id)
        if entry is None:
            raise ArtifactError(
                f"it was trained with the expert {member.id!r}, which is not in this config.",
                hint=did_you_mean(member.id, experts),
            )
        base = experts.get(entry.host, entry)
        adapter = entry.options.get("adapter")
        here = base.options.get("model"), None if adapter is None else str(adapter)
        if here != (member.model, member.adapter):
            raise ArtifactError(
                f"it was trained with {member.id!r} as {_named(member.model, member.adapter)}, "
                f"but here that expert is {_named(*here)}.",
                hint="Train the fusion anew, or name the expert it was trained with.",
            )


def _named(model: object, adapter: object) -> str:
    return f"{model!r}" if adapter is None else f"{model!r} with the adapter {adapter!r}"
