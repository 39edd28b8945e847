"""A fusion of two families of tiny random models, with gates that are open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from tests.tiny import save_tiny

from motet.config import ExpertEntry
from motet.fusion.artifact import new_layers
from motet.fusion.card import FusionCard
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember, card_of_member, load_member
from motet.types import Request
from motet.weights import Setting

QUESTIONS = ("Which metal is it?", "the house in a town", "naïve 🦊 café", "x" * 40, "ou th in a")


def ask(prompt: str) -> Request:
    return Request(model="", prompt=prompt)


@dataclass
class World:
    """Members 0 and 1 are of the family Llama and may ask; member 2 is a Gemma."""

    folder: Path
    card: FusionCard
    members: list[FusionMember]
    layers: FusionLayers

    @property
    def setting(self) -> Setting:
        return Setting(self.folder, self.folder / "cache")

    def member(self, id: str) -> FusionMember:
        return self.members[self.card.ids.index(id)]


def entries() -> dict[str, ExpertEntry]:
    names = ("ann", "bob", "cid")
    return {n: ExpertEntry(id=n, engine="transformers", model=n) for n in names}


def make_world(folder: Path, mode: str = "A") -> World:
    save_tiny(folder / "ann", "llama", width=32, layers=4)
    save_tiny(folder / "bob", "llama", width=48, layers=2, merges=True, seed=8)
    save_tiny(folder / "cid", "gemma3", width=64, layers=6, merges=True, seed=9)
    setting = Setting(folder, folder / "cache")
    cards = [card_of_member(name, entries(), setting) for name in entries()]
    members = [load_member(card, setting, levels=2, dtype="float32") for card in cards]
    card = FusionCard(
        mode=mode,
        draft_tokens=4 if mode == "B" else 0,
        levels=2,
        heads=2,
        head_width=64,
        dtype="float32",
        members=[
            c.model_copy(update={"width": m.width}) for c, m in zip(cards, members, strict=True)
        ],
        primaries=("ann", "bob"),
        peers=2,
    )
    torch.manual_seed(0)
    return World(folder, card, members, new_layers(card))


def opened(layers: FusionLayers, gate: float = 0.7) -> FusionLayers:
    """Open every gate, so that the memory shows, and give the router an opinion."""
    with torch.no_grad():
        for level in layers.levels:
            level.gates.fill_(gate)
            for back in level.back.values():
                back.mul_(4)  # loud enough to change what is likeliest
        torch.nn.init.normal_(layers.router.outer.weight)
    return layers
