"""What peers remember: it shows nothing early, and no request of a batch changes another."""

import pytest
import torch
from tests.fusion.passes import alone, latents, logits, memory
from tests.fusion.world import QUESTIONS, ask

from motet.fusion.memory import LatentMemory, Latents, Pass


def test_without_peers_the_primary_answers_as_alone(world, layers):
    assert torch.equal(logits(world, QUESTIONS[1], LatentMemory()), alone(world, QUESTIONS[1]))


@pytest.mark.parametrize("peers", [[1], [2], [1, 2]])
def test_what_comes_later_changes_nothing_before(world, layers, peers):
    start, one, other = "the house in", " town 🦊?", " zz!! ouïn"
    first, second = start + one, start + other
    known = len(world.members[0].encode(ask(start)).tokens)
    # The router reads the whole prompt: what it says of one is taken for both.
    changed = logits(world, second, memory(world, second, peers, rated=first))
    same = logits(world, first, memory(world, first, peers))
    assert torch.allclose(same[:known], changed[:known], atol=1e-4)
    again = memory(world, first, peers)
    ends = [segment.ends for segment in again.segments]
    late = {
        e: Latents(x.ends, [torch.where(x.ends[:, None] > len(start), 9.0, h) for h in x.hidden])
        for e, x in latents(world, first, peers).items()
    }
    assert any((end > len(start)).any() for end in ends)
    perturbed = logits(world, first, memory(world, first, peers, late))
    assert torch.allclose(same[:known], perturbed[:known], atol=1e-4)
    assert not torch.allclose(same[known:], perturbed[known:], atol=1e-2)


def test_a_batch_equals_its_requests_alone(world, layers):
    member = world.members[0]
    peers = [[1], [2], [1, 2], [], [2, 1]]
    readings = [member.encode(ask(q)) for q in QUESTIONS]
    memories = [memory(world, q, p) for q, p in zip(QUESTIONS, peers, strict=True)]
    longest = max(len(r.tokens) for r in readings)
    ids = torch.tensor([[*r.tokens, *[0] * (longest - len(r.tokens))] for r in readings])
    real = torch.tensor([[n < len(r.tokens) for n in range(longest)] for r in readings])
    fused = Pass.generating(world.layers, 0, memories, [r.asks for r in readings])

    def without_padding(level, hidden):
        changed = hidden.clone()
        changed[real] = fused(level, hidden[real][None])[0]
        return changed

    with member.visited(without_padding), torch.no_grad():
        together = member.model(input_ids=ids, attention_mask=real.long()).logits
    for b, (question, known) in enumerate(zip(QUESTIONS, memories, strict=True)):
        lone = logits(world, question, known)
        assert torch.allclose(together[b, : len(lone)], lone, atol=1e-4)


def test_the_order_of_peers_is_no_matter(world, layers):
    one = logits(world, QUESTIONS[0], memory(world, QUESTIONS[0], [1, 2]))
    other = logits(world, QUESTIONS[0], memory(world, QUESTIONS[0], [2, 1]))
    assert torch.allclose(one, other, atol=1e-5)
