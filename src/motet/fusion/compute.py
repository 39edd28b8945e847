"""What an answer costs in floating-point operations, from parameters and the tokens that passed.

A token that passes a member costs two operations a parameter of its layers, and one that is drawn
two a parameter of its output layer as well. Attention among a prompt's own tokens is left out: at
a hundred tokens it is a few per cent of either side. Everything of the interaction layers counts,
their attention over the memory included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember


@dataclass(frozen=True)
class Size:
    """Parameters of a member.

    Attributes
    ----------
    layers
        Those that every token passes: without embeddings, which are looked up.
    head
        Those of the output layer.
    """

    layers: int
    head: int

    def reading(self, tokens: int) -> float:
        """Return the operations of reading a prompt."""
        return 2.0 * self.layers * tokens

    def writing(self, tokens: int) -> float:
        """Return those of drawing tokens behind it; the last one drawn passes no layer."""
        return 2.0 * (self.layers * max(0, tokens - 1) + self.head * tokens)


def size_of(member: FusionMember) -> Size:
    """Return a member's parameters."""
    tables = {id(member.head.weight), id(member.model.get_input_embeddings().weight)}
    layers = sum(p.numel() for p in member.decoder.parameters() if id(p) not in tables)
    return Size(layers, member.head.weight.numel())


def interaction(
    layers: FusionLayers, primary: int, asking: int, memory: Mapping[int, int]
) -> float:
    """Return the operations of all levels for one answer.

    Parameters
    ----------
    asking
        Tokens of the primary that pass: its prompt's, and those it wrote but the last.
    memory
        Tokens of each peer, its draft included.
    """
    if not memory:
        return 0.0
    total = 0
    for level in layers.levels:
        features = level.heads * level.head_width
        remembered = sum(2 * layers.widths[e] * tokens for e, tokens in memory.items())
        attended = 2 * sum(memory.values()) * asking
        asked = 2 * layers.widths[primary] * asking
        total += 2 * features * (remembered + asked + attended)
    return float(total)
