"""Two processes share a training's batches and end with the weights of one."""

import json
import os
import subprocess
import sys

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file
from tests.fusion.world import QUESTIONS, ask, make_world
from typer.testing import CliRunner

from motet.cli.main import app
from motet.errors import ConfigError
from motet.fusion.data import Example
from motet.fusion.train import Training, TrainOptions, accelerator_for


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("processes"))


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
