"""Training: what it learns, that it can stop and go on, and what it refuses."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.fusion.world import QUESTIONS, ask, make_world
from typer.testing import CliRunner

from motet.cli.main import app
from motet.errors import ArtifactError, TableError
from motet.fusion.batches import drawn
from motet.fusion.card import read_card
from motet.fusion.data import Example, data_hash, read_examples
from motet.fusion.evaluate import deranged, difference, hint
from motet.fusion.layers import RouterHead
from motet.fusion.losses import router_losses
from motet.fusion.train import Training, TrainOptions
from motet.types import Request

OPTIONS = TrainOptions(steps=6, batch=4, save_every=2, warmup=1, lr=1e-2, gate_lr=0.1)
EXAMPLES = [Example(ask(q), " in", right={"ann": n % 2 == 0}) for n, q in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("trained"))


def training(world, cache, options=OPTIONS, examples=EXAMPLES):
    return Training(world.card, options, examples, world.member, cache)


def quiet(*_):
    pass


class Stopped(Exception):
    pass


def stop_at(step):
    def report(stage, done, total):
        if stage.startswith("training") and done == step:
            raise Stopped

    return report


def test_a_training_that_stops_ends_as_one_that_does_not(world, tmp_path):
    whole = training(world, tmp_path / "cache").run(tmp_path / "whole", quiet)
    with pytest.raises(Stopped):
        training(world, tmp_path / "cache").run(tmp_path / "parts", stop_at(5))
    assert (tmp_path / "parts" / "checkpoint").exists()
    assert not (tmp_path / "parts" / "fusion.json").exists()
    began = []
    parts = training(world, tmp_path / "cache").run(
        tmp_path / "parts", lambda stage, done, _: began.append(done) if "training" in stage else 0
    )
    assert began == [5, 6]  # from the checkpoint after step 4
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name
    assert not (tmp_path / "parts" / "checkpoint").exists()
    assert read_card(tmp_path / "parts") == read_card(tmp_path / "whole")
    assert read_card(tmp_path / "whole").training["data"] == data_hash(EXAMPLES)
    again = training(world, tmp_path / "cache").run(tmp_path / "whole", stop_at(1))  # no step
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_checkpoint_of_another_training_is_refused(world, tmp_path):
    with pytest.raises(Stopped):
        training(world, tmp_path / "cache").run(tmp_path / "out", stop_at(3))
    for options, examples in (
        (OPTIONS.model_copy(update={"seed": 1}), EXAMPLES),
        (OPTIONS, EXAMPLES[1:]),
    ):
        with pytest.raises(ArtifactError, match="another training"):
            training(world, tmp_path / "cache", options, examples).run(tmp_path / "out", quiet)
    (tmp_path / "out" / "checkpoint" / "state.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(ArtifactError, match="damaged"):
        training(world, tmp_path / "cache").run(tmp_path / "out", quiet)


def test_peers_read_each_prompt_once(world, tmp_path, monkeypatch):
    first = training(world, tmp_path)
    seen = first._cache.read("cid", EXAMPLES[0].request)
    monkeypatch.setattr(world.members[2], "read", None)
    again = training(world, tmp_path)._cache.read("cid", EXAMPLES[0].request)
    assert torch.equal(seen.ends, again.ends)
    assert all(torch.equal(a, b) for a, b in zip(seen.hidden, again.hidden, strict=True))
    with pytest.raises(TypeError):  # another prompt is not in the cache
        first._cache.read("cid", ask("never read"))


def test_learning_lowers_the_loss_and_leaves_members_alone(world, tmp_path):
    losses = []

    def report(stage, done, total):
        if "loss" in stage:
            losses.append(float(stage.split()[-1]))

    before = {n: t.clone() for n, t in world.members[0].model.state_dict().items()}
    options = OPTIONS.model_copy(update={"steps": 30, "drop_peer": 0.2, "accumulate": 2})
    training(world, tmp_path / "cache", options).run(tmp_path / "out", report)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    for name, tensor in world.members[0].model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_router_learns_who_was_right():
    torch.manual_seed(0)
    router = RouterHead(8, 2)
    prompts = torch.randn(64, 8)
    right = [{0: bool(x[0] > 0), 1: bool(x[0] <= 0)} for x in prompts]
    optimizer = torch.optim.Adam(router.parameters(), lr=1e-2)
    for _ in range(100):
        terms = router_losses(router, prompts, router(prompts), right)
        optimizer.zero_grad()
        (terms["right"] + 0.05 * terms["consistency"]).backward()
        optimizer.step()
    best = router(prompts).argmax(1)
    assert ((best == 0) == (prompts[:, 0] > 0)).float().mean() > 0.9
    assert all(term.isfinite() for term in terms.values())


@given(st.integers(1, 12), st.integers(1, 7), st.integers(0, 9))
def test_batches_go_through_every_epoch(items, batch, seed):
    numbers = [n for part in range(12) for n in drawn(range(items), batch, part, seed)]
    whole = len(numbers) // items
    for epoch in range(whole):
        assert sorted(numbers[epoch * items : (epoch + 1) * items]) == list(range(items))
    assert numbers[:batch] == drawn(range(items), batch, 0, seed)


@given(st.lists(st.sampled_from("ab"), min_size=4, max_size=20), st.integers(0, 5))
def test_deranged_peers_read_another_question_of_the_task(tasks, seed):
    examples = [Example(ask(f"{task}{n}"), "x", task) for n, task in enumerate(tasks)]
    others = deranged(examples, seed)
    assert sorted(r.prompt for r in others) == sorted(x.request.prompt for x in examples)
    for example, other in zip(examples, others, strict=True):
        assert other.prompt[0] == example.task
        assert tasks.count(example.task) == 1 or other.prompt != example.request.prompt


def test_differences_are_paired():
    better = difference([1.0] * 30 + [0.0] * 10, [0.0] * 30 + [0.0] * 10)
    assert better.points == 75 and better.low < 75 < better.high and better.p <= 0.001
    even = difference([1.0, 0.0] * 20, [0.0, 1.0] * 20)
    assert even.points == 0 and even.p > 0.3
    same = difference([1.0, 0.0] * 20, [1.0, 0.0] * 20)
    assert (same.points, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_a_hint_stands_before_the_question():
    assert hint(ask("Q"), ["tin\n"]).prompt == "Another model answers: tin\nQ"
    chat = Request(
        model="", messages=({"role": "system", "content": "S"}, {"role": "user", "content": "Q"})
    )
    assert hint(chat, ["a", "b"]).messages[0]["content"] == "S"
    assert hint(chat, ["a", "b"]).messages[1]["content"].endswith("answers: b\nQ")


@pytest.mark.parametrize(
    "line, match",
    [
        ({"query": "x", "prompt": "y", "answer": "z"}, ":2: give one of|:2: Value error"),
        ({"query": "x"}, ":2: answer: Field required"),
        ({"query": "x", "answer": " "}, "answer is empty"),
        ({"query": "x", "answer": "z", "right": {"anne": True}}, "Did you mean 'ann'"),
        ({"query": "x", "answer": "z", "grader": "exakt"}, "Did you mean 'exact'"),
        ({"query": "x", "answer": "z", "grader": "regex", "reference": "("}, "no regular"),
        ({"query": "x", "answer": "z", "colour": 1}, "colour"),
    ],
)
def test_wrong_lines_are_named(tmp_path, line, match):
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps({"query": "q", "answer": "a"}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(TableError, match=match):
        read_examples(file, ["ann", "bob"])
    file.write_text("\n")
    with pytest.raises(TableError, match="no example"):
        read_examples(file, [])


def test_train_and_eval_by_command(world, tmp_path):
    config = world.folder / "experts.yaml"
    config.write_text(
        "version: 1\nexperts:\n"
        + "".join(
            f"  - {{id: {n}, engine: transformers, model: {n}}}\n" for n in ("ann", "bob", "cid")
        )
    )
    data = tmp_path / "data.jsonl"
    data.write_text(
        "".join(json.dumps({"prompt": q, "answer": " in", "task": "t"}) + "\n" for q in QUESTIONS)
    )
    run = CliRunner().invoke
    out, cache = str(tmp_path / "out"), str(tmp_path / "cache")
    common = ["fuse", "train", str(config), "--data", str(data), "--out", out, "--cache", cache]
    small = ["--levels", "2", "--heads", "1", "--steps", "3", "--batch", "2", "--primaries", "ann"]
    made = run(app, [*common, "--experts", "ann,cid", *small, "--lora", "--json"])
    assert made.exit_code == 0, made.output
    about = json.loads(made.stdout)
    assert about["card"]["primaries"] == ["ann"] and about["parameters"] > 1000
    judged = run(app, ["fuse", "eval", out, "--config", str(config), "--data", str(data), "--json"])
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.stdout)
    assert set(found["tasks"]["t"]["accuracy"]) == {
        *("alone", "cid", "fused", "deranged", "text", "lora")
    }
    assert set(found["tasks"]["t"]["differences"]) == {"P", "G", "over_text", "over_lora"}
    assert found["text_adds_tokens"] > 0
    shown = run(app, ["fuse", "eval", out, "--config", str(config), "--data", str(data)])
    assert "P, less deranged peers" in shown.stdout
    for wrong, match in (
        (["--experts", "ann,sid"], "Did you mean 'cid'"),
        (["--experts", "ann,ann"], "stands twice"),
        (["--experts", "ann,cid", "--mode", "C"], "--mode"),
        (["--experts", "ann,cid", "--levels", "5"], "4 layers cannot be cut into 5"),
    ):
        refused = run(app, [*common[:-4], "--out", str(tmp_path / "no"), *wrong])
        assert refused.exit_code == 1
        assert match in refused.output
