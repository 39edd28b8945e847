"""What must hold of a fusion whatever it has learnt."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fusion.world import QUESTIONS, ask, make_world, opened

from motet.fusion.data import Example
from motet.fusion.generate import recall
from motet.fusion.hidden_cache import HiddenCache, read_latents
from motet.fusion.memory import LatentMemory, Latents, Pass
from motet.fusion.objective import BatchSampler, Objective, Share
from motet.fusion.text import read_request


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("fusion"))


@pytest.fixture
def layers(world):
    """Open layers, restored afterwards."""
    state = {name: t.clone() for name, t in world.layers.state_dict().items()}
    yield opened(world.layers)
    world.layers.load_state_dict(state)


def latents(world, question, peers, draft=0):
    return {e: read_latents(world.members[e], ask(question), draft) for e in peers}


def memory(world, question, peers, known=None, primary=0, rated=None):
    """Return what peers remember of a question; the router rates it, or `rated` in its place."""
    known = latents(world, question, peers) if known is None else known
    reader = world.members[0]
    with torch.no_grad():
        bag = reader.embed(reader.encode(ask(rated or question)).tokens)
        return recall(world.layers, primary, known, world.layers.router(bag[None])[0])


def make_objective(world, layers, examples, size, folder, share=None):
    cache = HiddenCache(folder, world.card, world.member)
    return Objective(
        layers, world.card, BatchSampler(examples, size, 0), world.member, cache, share
    )


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


@pytest.mark.parametrize("primary", [0, 1])
def test_new_layers_are_the_identity_to_the_bit(world, primary):
    for question in QUESTIONS:
        known = memory(world, question, [e for e in range(3) if e != primary], primary=primary)
        assert torch.equal(logits(world, question, known, primary), alone(world, question, primary))


def test_open_layers_are_not(world, layers):
    question = QUESTIONS[0]
    assert not torch.allclose(
        logits(world, question, memory(world, question, [1, 2])), alone(world, question), atol=1e-2
    )


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


def test_half_a_character_shows_nothing_of_the_whole(world):
    fox = world.members[1].encode(ask("a🦊b"))
    assert fox.ends.tolist()[-1] == fox.asks.tolist()[-1] == 6
    inside = [
        (end, asked)
        for end, asked in zip(fox.ends.tolist(), fox.asks.tolist(), strict=True)
        if end == 5
    ]
    assert len(inside) > 1  # the fox is several tokens
    assert [asked for _, asked in inside] == [1] * (len(inside) - 1) + [5]


@settings(max_examples=60)
@given(text=st.text(min_size=1, max_size=30))
def test_byte_ends_count_the_shared_text(world, text):
    size = len(text.encode("utf-8", "surrogatepass"))
    for member in world.members:
        reading = read_request(member.tokenizer, None, ask(text), member.id)
        assert reading.size == size
        assert (reading.ends.diff() >= 0).all() and (reading.asks.diff() >= 0).all()
        assert (reading.asks <= reading.ends).all()


def test_a_batch_equals_its_requests_alone(world, layers):
    member = world.members[0]
    peers = [[1], [2], [1, 2], [], [2, 1]]
    readings = [member.encode(ask(q)) for q in QUESTIONS]
    memories = [memory(world, q, p) for q, p in zip(QUESTIONS, peers, strict=True)]
    longest = max(len(r.tokens) for r in readings)
    ids = torch.tensor([[*r.tokens, *[0] * (longest - len(r.tokens))] for r in readings])
    real = torch.tensor([[n < len(r.tokens) for n in range(longest)] for r in readings])
    fused = Pass.generating(world.layers, 0, memories, [r.asks for r in readings])
    fused._tokens_BT = real
    with member.visited(fused), torch.no_grad():
        together = member.model(input_ids=ids, attention_mask=real.long()).logits
    for b, (question, known) in enumerate(zip(QUESTIONS, memories, strict=True)):
        lone = logits(world, question, known)
        assert torch.allclose(together[b, : len(lone)], lone, atol=1e-4)


def test_the_order_of_peers_is_no_matter(world, layers):
    one = logits(world, QUESTIONS[0], memory(world, QUESTIONS[0], [1, 2]))
    other = logits(world, QUESTIONS[0], memory(world, QUESTIONS[0], [2, 1]))
    assert torch.allclose(one, other, atol=1e-5)


def test_the_answers_loss_reaches_the_router(world, layers, tmp_path):
    examples = [Example(ask(q), " in") for q in QUESTIONS]
    objective = make_objective(world, layers, examples, 5, tmp_path)
    primary, rows = objective.batch(0)
    assert all(len(row.peers) == 2 for row in rows)
    layers.zero_grad()
    objective.answer_loss(primary, rows).backward()
    assert layers.router.outer.weight.grad.abs().max() > 0
    assert layers.router.inner.weight.grad.abs().max() > 0


def test_processes_that_share_a_batch_have_its_loss_on_average(world, layers, tmp_path):
    examples = [Example(ask(q), " in" * (n + 1)) for n, q in enumerate(QUESTIONS)]
    primary, _ = make_objective(world, layers, examples, 5, tmp_path).batch(0)
    losses, gradients = [], []
    for share in (Share(), *(Share(n, 3) for n in range(3))):
        layers.zero_grad()
        torch.manual_seed(0)
        loss = make_objective(world, layers, examples, 5, tmp_path, share)(0)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(layers.levels[0].back[str(primary)].grad.clone())
    assert torch.allclose(losses[0], torch.stack(losses[1:]).mean(), rtol=1e-5)
    assert torch.allclose(gradients[0], torch.stack(gradients[1:]).mean(0), atol=1e-6)
    assert gradients[0].abs().max() > 1e-4


def test_the_router_reads_the_prompt_and_each_prompt_alone(world, layers, tmp_path):
    examples = [Example(ask(q), answer) for q in QUESTIONS for answer in (" in", " out there")]
    objective = make_objective(world, layers, examples, 10, tmp_path)
    _, rows = objective.batch(0)
    seen, _ = objective.router_sees(rows)
    rated = layers.router(seen)
    by_prompt = {}
    for row, rating, bag in zip(rows, rated, seen, strict=True):
        assert torch.allclose(layers.router(bag[None])[0], rating, atol=1e-5)  # not its batch
        prompt = row.example.request.prompt  # not its answer
        assert torch.allclose(by_prompt.setdefault(prompt, rating), rating, atol=1e-6)
    assert len(by_prompt) == len(QUESTIONS)
    assert rated.std(0).max() > 1e-3  # samples of a batch are rated each for itself


@torch.no_grad()
def test_attention_may_ask_nobody(world, layers):
    """The surer that the primary is right alone, the less its peers change."""
    question = QUESTIONS[0]
    known = latents(world, question, [1, 2])
    lone = alone(world, question)
    far = [
        (logits(world, question, recall(layers, 0, known, torch.tensor([sure, 0.0, 0.0]))) - lone)
        .abs()
        .max()
        for sure in (-20.0, 0.0, 5.0, 30.0)
    ]
    assert far[0] > far[1] > far[2] > far[3]
    assert far[0] > 0.1 and far[3] < 1e-4


def test_nobody_has_nothing_to_say(world, layers, tmp_path):
    objective = make_objective(
        world, layers, [Example(ask(q), " in") for q in QUESTIONS], 5, tmp_path
    )
    optimizer = torch.optim.AdamW([p for p in layers.parameters() if p.requires_grad], lr=0.1)
    before = [level.keys[layers.nobody].clone() for level in layers.levels]
    objective(0).backward()
    optimizer.step()
    for level, key in zip(layers.levels, before, strict=True):
        assert not level.values[layers.nobody].any()
        assert not torch.equal(level.keys[layers.nobody], key), "its key is learnt"
