"""A fusion trained and judged by command."""

import json

from tests.fusion.world import QUESTIONS, make_world
from typer.testing import CliRunner

from motet.cli.main import app


def test_train_and_eval_by_command(tmp_path):
    world = make_world(tmp_path)
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
