"""The loss of a batch: who learns from it, and that processes share it."""

import torch
from tests.fusion.world import QUESTIONS, ask

from motet.fusion.data import Example
from motet.fusion.hidden_cache import HiddenCache
from motet.fusion.objective import BatchSampler, Objective, Share


def make_objective(world, layers, examples, size, folder, share=None):
    cache = HiddenCache(folder, world.card, world.member)
    return Objective(
        layers, world.card, BatchSampler(examples, size, 0), world.member, cache, share
    )


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
