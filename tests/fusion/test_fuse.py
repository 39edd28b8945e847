"""Experts of a config fused, and the fusion judged, as Python programs do it."""

import json

import pytest
from tests.fusion.world import QUESTIONS, make_world

from motet.config import load
from motet.errors import ArtifactError, ConfigError
from motet.fusion.data import read_examples
from motet.fusion.fuse import FuseOptions, evaluation_of, fuse
from motet.fusion.train import TrainOptions

SMALL = {"levels": 2, "heads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("fuse"))
    members = [
        f"  - {{id: {n}, engine: transformers, model: {n}}}\n" for n in ("ann", "bob", "cid")
    ]
    (world.folder / "experts.yaml").write_text("version: 1\nexperts:\n" + "".join(members))
    rows = [{"prompt": q, "answer": " in", "task": "t"} for q in QUESTIONS]
    (world.folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return world.folder


def made(folder, out, *, experts=("ann", "cid"), progress=None, **options):
    training = TrainOptions(steps=3, batch=2)
    return fuse(
        load(str(folder / "experts.yaml")),
        experts,
        folder / "data.jsonl",
        folder / out,
        FuseOptions(**SMALL | {"training": training} | options),
        cache=folder / "read",
        **({} if progress is None else {"progress": progress}),
    )


def test_a_fusion_is_trained_once_and_judged_beside_its_control(folder):
    stages = []
    first = made(
        folder, "out", primaries=["ann"], lora=True, progress=lambda *it: stages.append(it)
    )
    assert first.card.primaries == ("ann",) and first.parameters > 1000
    assert (folder / "out" / "lora" / "adapter_config.json").exists()
    assert {stage.split(",")[0] for stage, *_ in stages} == {"cid reads", "training", "control"}
    stages.clear()
    assert made(folder, "out", primaries=["ann"], lora=True, progress=stages.append) == first
    assert not stages
    evaluation = evaluation_of(load(str(folder / "experts.yaml")), folder / "out", device="cpu")
    examples = read_examples(folder / "data.jsonl", evaluation.ids)
    judged = evaluation.judged(examples, evaluation.answers(examples, lambda *_: None))
    ways = {"alone", "cid", "fused", "deranged", "text", "lora"}
    assert set(judged["tasks"]["t"]["accuracy"]) == ways
    assert judged["text_adds_tokens"] > 0 == judged["fused_adds_tokens"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"experts": ("ann", "sid")}, "Did you mean 'cid'"),
        ({"experts": ("ann", "ann")}, "stands twice"),
        ({"primaries": ["bob"]}, "no expert 'bob' in --experts"),
        ({"levels": 5}, "4 layers cannot be cut into 5"),
        ({"device": "cuda:1"}, "takes auto, cpu or cuda"),
    ],
)
def test_what_cannot_be_fused(folder, change, match):
    with pytest.raises(ConfigError, match=match):
        made(folder, "never", **change)
    assert not (folder / "never").exists()


def test_what_cannot_be_judged(folder):
    document = load(str(folder / "experts.yaml"))
    with pytest.raises(ArtifactError, match="holds no fusion"):
        evaluation_of(document, folder / "nowhere")
    made(folder, "judged", primaries=["ann"])
    with pytest.raises(ConfigError, match="no expert 'cid' in .*judged"):
        evaluation_of(document, folder / "judged", primary="cid", device="cpu")
