"""`motet router` from a table to a promoted router, with an encoder of a few words."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from motet.cli.main import app

WORDS = {"sums": "add plus number digit", "verses": "rhyme verse poem moon"}
EXPERTS = {"algebra": (0.9, 0.15), "poetry": (0.15, 0.9), "both": (0.6, 0.6)}
PRICES = {"algebra": 0.001, "poetry": 0.002, "both": 0.003}


def write(path, rows, seed, experts=tuple(EXPERTS), queries=True, prefix=""):
    random = np.random.default_rng(seed)
    tasks = ["sums" if row % 2 else "verses" for row in range(rows)]
    columns = {"task": tasks}
    if queries:
        columns["query"] = [
            prefix + " ".join([*random.choice(WORDS[task].split(), 3), f"{seed}x{row}"])
            for row, task in enumerate(tasks)
        ]
    for expert in experts:
        chances = np.array([EXPERTS[expert][task == "verses"] for task in tasks])
        columns[f"score:{expert}"] = (random.random(rows) < chances).astype(np.float32)
        columns[f"cost:{expert}"] = np.full(rows, PRICES[expert], np.float32)
    parquet.write_table(pa.table(columns), path)
    return str(path)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder, which also keeps the embeddings."""
    folder = tmp_path_factory.mktemp("router")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTET_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def tables(here):
    return {
        "train": write(here / "train.parquet", 200, 0),
        "test": write(here / "test.parquet", 160, 1, experts=("both", "poetry", "algebra")),
        "scores": write(here / "scores.parquet", 60, 2, queries=False),
    }


@pytest.fixture(scope="module")
def encoder(here):
    """A sentence-transformers folder: one random vector a word."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", *" ".join(WORDS.values()).split()]
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = np.random.default_rng(0).normal(size=(len(words), 16)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    SentenceTransformer(modules=[module], device="cpu").save(str(here / "encoder"))
    (here / "encoder" / "config.json").write_text("{}")  # what makes a folder a model's
    return str(here / "encoder")


@pytest.fixture(scope="module")
def router(here, tables, encoder):
    """A trained router's folder."""
    done = motet("train", tables["train"], "--kind", "knn", "--set", "k=[20]",
                 "--encoder", encoder, "--out", here / "knn", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["kind"] == "knn" and facts["options"]["k"] == [20] and facts["rows"] == 200
    return str(here / "knn")


def motet(*arguments):
    return CliRunner().invoke(app, ["router", *map(str, arguments)])


def refused(*arguments):
    done = motet(*arguments)
    assert done.exit_code == 1 and done.stdout == ""
    return " ".join(done.stderr.split())


def test_eval_reads_writes_and_promotes(here, tables, router):
    page, plots, promoted = here / "out" / "page.html", here / "plots", here / "promoted"
    done = motet("eval", router, tables["test"], "--json", "--report", page, "--plots", plots,
                 "--promote", promoted)  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["accuracy_mean_over_tasks"] > 0.8 > found["best_single_accuracy_mean_over_tasks"]
    assert found["oracle_accuracy_mean_over_queries"] > found["accuracy_mean_over_queries"]
    assert found["accuracy_mean_over_tasks_low"] < found["accuracy_mean_over_tasks_high"]
    assert found["cost_mean"] < 0.002 and found["beats_best_single"] is True
    assert 0 < found["aiq"] <= 1 and found["apgr"] is not None
    assert page.read_text().startswith("<!doctype html>")
    assert {path.stem for path in plots.iterdir()} >= {"accuracy", "cost_quality", "calls"}
    assert (
        json.loads(motet("eval", promoted, tables["test"], "--json").stdout)["aiq"] == found["aiq"]
    )


def test_eval_says_it_in_words(tables, router):
    done = motet("eval", router, tables["test"])
    assert done.exit_code == 0
    assert "It beats the best single expert by +" in done.stdout
    assert "oracle" in done.stdout and "random" in done.stdout


def test_what_proves_nothing_is_not_promoted(here, tables):
    made = motet("train", tables["train"], "--kind", "constant", "--out", here / "constant")
    assert made.exit_code == 0 and "best-single fitted on 200 rows" in made.stdout
    done = motet("eval", here / "constant", tables["test"], "--promote", here / "never")
    assert done.exit_code == 1 and not (here / "never").exists()
    assert "Not promoted" in done.stderr and "does not beat" in done.stderr


def test_eval_refuses_what_would_be_no_proof(here, tables, router):
    assert "200 of 200 queries" in refused("eval", router, tables["train"])
    fewer = write(here / "fewer.parquet", 20, 5, experts=("algebra", "poetry"))
    assert "no column 'score:both'" in refused("eval", router, fewer)
    assert "motet router train" in refused("eval", here / "nowhere", tables["test"])
    assert "there is no such file" in refused("eval", router, here / "nothing.parquet")


def test_train_refuses_what_it_does_not_know(here, tables):
    out = ("--out", here / "x")
    assert "Did you mean 'ridge'" in refused("train", tables["train"], "--kind", "rigde", *out)
    said = refused("train", tables["train"], "--kind", "ridge", "--set", "alphs=[1]", *out)
    assert "alphs" in said
    said = refused("train", tables["train"], "--kind", "ridge", "--set", "alphas", *out)
    assert "is not OPTION=VALUE" in said
    assert "'query' column" in refused("train", tables["scores"], "--kind", "ridge", *out)
    assert not (here / "x").exists()


def test_train_keeps_to_a_cost_or_a_share(here, tables, encoder):
    common = ("train", tables["train"], "--kind", "ridge", "--encoder", encoder)
    for name, target in (("cost", "0.0012"), ("share", "both=0.3")):
        done = motet(*common, "--out", here / name, f"--target-{name}", target, "--json")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["lambda"] != 0
    found = json.loads(motet("eval", here / "cost", tables["test"], "--json").stdout)
    assert found["cost_mean"] == pytest.approx(0.0012, rel=0.15)
    found = json.loads(motet("eval", here / "share", tables["test"], "--json").stdout)
    assert found["calls"]["both"] == pytest.approx(0.3, abs=0.12)
    said = refused(*common, "--out", here / "y", "--target-share", "bother=0.3")
    assert "Did you mean 'both'" in said
    assert "EXPERT=SHARE" in refused(*common, "--out", here / "y", "--target-share", "both")


def test_compare(here, tables, encoder):
    done = motet("compare", tables["train"], "--kinds", "constant,ridge,knn", "--folds", 3,
                 "--set", "knn.k=[20]", "--encoder", encoder, "--json",
                 "--report", here / "compare.html")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["kinds"]) == {"best-single", "ridge", "knn"}
    assert found["kinds"]["knn"]["accuracy_mean_over_tasks"] > 0.8
    assert found["settings"]["options"] == {"knn": {"k": [20]}}
    pairs = {(row["of"], row["to"]): row["low"] for row in found["differences"]}
    assert pairs["knn", "best-single"] > 0
    assert (here / "compare.html").stat().st_size > 100_000


def test_compare_with_a_test_table_and_all_kinds(tables):
    done = motet("compare", tables["scores"], "--kinds", "all", "--test", tables["scores"])
    assert done.exit_code == 0, done.stderr
    assert "best-single" in done.stdout and "knn the table has no queries" in done.stderr


def test_explain(router):
    done = motet("explain", router, "add plus digit")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("algebra  by knn") and "neighbours" in done.stdout
    found = json.loads(motet("explain", router, "moon rhyme", "--json").stdout)
    assert found["expert"] == "poetry" and found["runner_up"] in EXPERTS


def test_standard_output_holds_json_alone(tables):
    command = [sys.executable, "-m", "motet.cli.main", "router", "compare", tables["scores"]]
    done = subprocess.run(
        [*command, "--kinds", "constant", "--json"], capture_output=True, timeout=60
    )
    assert done.returncode == 0 and json.loads(done.stdout)["rows"] == 60
