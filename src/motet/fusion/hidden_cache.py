"""Hidden states of frozen peers, kept on disk: they never change, so each prompt is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from motet.files import replacing
from motet.fusion.card import FusionCard, MemberCard
from motet.fusion.data import asked
from motet.fusion.members import FusionMember
from motet.fusion.memory import Latents
from motet.types import Request


class HiddenCache:
    """What members read of prompts, from the cache or from the member itself.

    Files are one a prompt and member, named by everything that shapes them: the member's revision
    and number format, the stacks, the draft, and what is asked. So a changed member reads anew.

    Parameters
    ----------
    folder
        Made when it is not there; may be shared between trainings.
    members
        Loads a member by its id, when a prompt is not in the cache.
    """

    def __init__(
        self, folder: Path, card: FusionCard, members: Callable[[str], FusionMember]
    ) -> None:
        self._folder = folder
        self._card = card
        self._cards: Mapping[str, MemberCard] = {member.id: member for member in card.members}
        self._members = members

    def read(self, member: str, request: Request) -> Latents:
        """Return what `member` has read of a request, with its draft in mode B."""
        from safetensors.torch import load_file, save_file

        file = self._file(member, request)
        if not file.exists():
            latents = read_latents(self._members(member), request, self._card.draft_tokens)
            file.parent.mkdir(parents=True, exist_ok=True)
            tensors = {str(level): h.contiguous() for level, h in enumerate(latents.hidden)}
            with replacing(file) as temporary:
                save_file({"ends": latents.ends, **tensors}, temporary)
        tensors = load_file(file)
        hidden: Sequence[Tensor] = [tensors[str(level)] for level in range(self._card.levels)]
        return Latents(tensors["ends"], hidden)

    def _file(self, member: str, request: Request) -> Path:
        card = self._card
        about: list[Any] = [
            self._cards[member].revision,
            card.levels,
            card.draft_tokens,
            card.dtype,
        ]
        about.append(asked(request))
        name = hashlib.sha256(orjson.dumps(about)).hexdigest()
        return self._folder / f"{member}-{name[:2]}" / f"{name}.safetensors"


@torch.no_grad()
def read_latents(member: FusionMember, request: Request, draft: int) -> Latents:
    """Let a member read a request as a peer, and write a draft of at most `draft` tokens.

    Raises
    ------
    ExpertRejected, ContextLengthExceeded
        As in `FusionMember.encode`.
    """
    reading = member.encode(request, room=draft)
    hidden, drafted = member.read(reading.tokens, draft)
    return Latents.of(reading, hidden, len(drafted))
