"""A primary's pass beside what its peers remember, and alone."""

import torch
from tests.fusion.world import ask

from motet.fusion.generate import recall
from motet.fusion.hidden_cache import read_latents
from motet.fusion.memory import Pass


def latents(world, question, peers, draft=0):
    return {e: read_latents(world.members[e], ask(question), draft) for e in peers}


def memory(world, question, peers, known=None, primary=0, rated=None):
    """Return what peers remember of a question; the router rates it, or `rated` in its place."""
    known = latents(world, question, peers) if known is None else known
    reader = world.members[0]
    with torch.no_grad():
        bag = reader.embed(reader.encode(ask(rated or question)).tokens)
        return recall(world.layers, primary, known, world.layers.router(bag[None])[0])


@torch.no_grad()
def logits(world, question, memory, primary=0):
    """Return the primary's logits [T, V] for a question, beside a memory."""
    member = world.members[primary]
    reading = member.encode(ask(question))
    ids = torch.tensor([reading.tokens])
    fused = Pass.generating(world.layers, primary, [memory], [reading.asks])
    with member.visited(fused):
        return member.model(input_ids=ids).logits[0]


@torch.no_grad()
def alone(world, question, primary=0):
    member = world.members[primary]
    return member.model(input_ids=torch.tensor([member.encode(ask(question)).tokens])).logits[0]
