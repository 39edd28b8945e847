"""`motet vote`, `motet cascade`, `motet rank`: from a table to figures."""

import json

import pytest
from tests.composer.fitted.world import write, write_pools
from typer.testing import CliRunner

from motet.cli.main import app


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    pools = write_pools(folder / "pools.json")
    return {
        "folder": folder,
        "train": str(write(folder / "train.parquet", 120, 0)),
        "test": str(write(folder / "test.parquet", 80, 1)),
        "pools": str(pools),
    }


def told(*arguments, code=0):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


FITS = {
    "vote": [],
    "cascade": ["--target-accuracy", "best-single"],
    "rank": ["--author", "known"],
}


@pytest.mark.parametrize("kind", FITS)
def test_from_a_table_to_figures(files, kind):
    out = files["folder"] / kind
    pool = f"{files['pools']}:weak"
    made = json.loads(
        told(kind, "fit", files["train"], "--pool", pool, "--out", out, "--json", *FITS[kind])
    )
    said = json.loads(told(kind, "eval", out, files["test"], "--json"))
    assert said["version"] == made["version"] and said["rows"] == 80
    names = (
        ["pairs_right", "pick_score_mean"]
        if kind == "rank"
        else [
            f"{who}{what}"
            for who in ("", "best_single_", "oracle_")
            for what in ("accuracy_mean_over_tasks", "cost_mean")
        ]
    )
    for name in names:
        assert said[f"{name}_low"] <= said[name] <= said[f"{name}_high"], name
    assert "best_single" in told(kind, "eval", out, files["test"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vote", "fit", "TRAIN", "--pool", "nowhere", "--out", "o"], "is not FILE:NAME"),
        (["vote", "fit", "TRAIN", "--pool", "POOLS:week", "--out", "o"], "Did you mean 'weak'"),
        (["cascade", "fit", "TRAIN", "--out", "o"], "give one of --target-accuracy"),
        (["cascade", "fit", "TRAIN", "--out", "o", "--target-cost", "lots"], "neither"),
        (["rank", "fit", "TRAIN", "--out", "o", "--author", "nobody"], "neither 'hidden'"),
        (["vote", "eval", "nowhere", "TRAIN"], "is no folder"),
    ],
)
def test_what_is_wrong_is_said(files, arguments, message):
    names = {"TRAIN": files["train"]}
    given = [names.get(a, a).replace("POOLS", files["pools"]) for a in arguments]
    assert message in " ".join(told(*given, code=1).split())
