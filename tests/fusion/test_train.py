"""Training: what it learns, alone or shared among processes, and that it can stop and go on."""

import json
import os
import subprocess
import sys

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file
from tests.fusion.trainings import EXAMPLES, OPTIONS, Stopped, quiet, stop_at, training
from tests.fusion.world import QUESTIONS, ask
from typer.testing import CliRunner

from motet.cli.main import app
from motet.errors import ConfigError
from motet.fusion.card import read_card
from motet.fusion.data import Example, data_hash
from motet.fusion.train import Training, TrainOptions, accelerator_for, lazily


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


@pytest.fixture
def fresh():
    """Let a test have another precision than the rest of this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def command(world, folder, out):
    config, data = folder / "experts.yaml", folder / "data.jsonl"
    members = [
        f"  - {{id: {n}, engine: transformers, model: {world.folder / n}}}\n"
        for n in ("ann", "cid")
    ]
    config.write_text("version: 1\nexperts:\n" + "".join(members))
    rows = [
        {"prompt": q, "answer": " in" * (n % 3 + 1), "right": {"cid": n % 2 == 0}}
        for n, q in enumerate(QUESTIONS)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        *("fuse", "train", str(config), "--data", str(data), "--out", str(out)),
        *("--experts", "ann,cid", "--levels", "2", "--heads", "1", "--steps", "4", "--batch", "3"),
        *("--accumulate", "2", "--cache", str(folder / "cache"), "--device", "cpu", "--json"),
    ]


def test_two_processes_end_where_one_does(world, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    alone = CliRunner().invoke(app, command(world, tmp_path, one))
    assert alone.exit_code == 0, alone.output
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    both = subprocess.run(
        [*launch, "-m", "motet.cli.main", *command(world, tmp_path, two)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert both.returncode == 0, both.stderr
    # It was said once, by the first process.
    assert json.loads(both.stdout)["card"] == json.loads(alone.stdout)["card"]
    first, second = (load_file(out / "fusion.safetensors") for out in (one, two))
    for name, tensor in first.items():
        # Adam makes steps of one size from gradients that are nearly 0, so single weights may
        # differ; on average by a hundredth of what they have moved, 5e-4.
        assert (tensor - second[name]).abs().mean() < 5e-6, name
    assert first["levels.0.gates"].abs().max() > 1e-3  # it has learnt


def test_half_precision_learns_as_well(world, tmp_path, fresh):
    examples = [Example(ask(q), " in") for q in QUESTIONS]
    losses = []

    def report(stage, done, total):
        if "loss" in stage:
            losses.append(float(stage.split()[-1]))

    options = TrainOptions(steps=10, batch=4, warmup=1, lr=1e-2, gate_lr=0.1, precision="bf16")
    layers = Training(world.card, options, examples, world.member, tmp_path / "cache").run(
        tmp_path / "out", report
    )
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert all(p.dtype == torch.float32 for p in layers.parameters())


def test_devices_that_are_not_there(monkeypatch):
    with pytest.raises(ConfigError, match="takes auto, cpu or cuda"):
        accelerator_for(TrainOptions(), "cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="sees no GPU"):
        accelerator_for(TrainOptions(), "cuda")


def test_members_are_loaded_when_they_are_first_asked_for():
    loaded = []
    member = lazily(lambda id: loaded.append(id) or object())
    assert not loaded
    assert member("ann") is member("ann") is not member("bob")
    assert loaded == ["ann", "bob"]
