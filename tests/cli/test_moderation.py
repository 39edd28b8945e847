"""`motet moderation`: what was learned, labels from the command line, and classifiers."""

import json
from dataclasses import replace

import pytest
from tests.conftest import running, wait_for
from typer.testing import CliRunner

from motet.cli.main import app
from motet.config import load

CONFIG = """
version: 1
experts: [{id: echo, engine: fake}]
classifiers:
  - {id: words, engine: fake-classifier, words: {fool: harassment}}
  - {id: blind, engine: fake-classifier}
moderations: {guard: {members: [words, blind]}}
store: {path: kept.db}
"""


def motet(*arguments):
    return CliRunner().invoke(app, ["moderation", *map(str, arguments)])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("moderation") / "experts.yaml"
    path.write_text(CONFIG)
    return path


def test_labels_reach_a_service_that_runs(config):
    with running(replace_config(load(config))) as service:
        body = {"input": ["you fool", "good day"]}
        id = service.post("/v1/moderations", body).json()["id"]
        wait_for(
            lambda: motet("label", id, "--config", config, "--is", "harassment").exit_code == 0
        )
        done = motet("label", id, "--index", 1, "--clean", "--config", config)
        assert done.exit_code == 0 and "guard has learned: words 0.5" in done.stdout, done.output
        hedge = service.motet.parts.ensembles
        wait_for(lambda: hedge.hedge("guard").labels == 2)
    shown = motet("weights", "--config", config)
    assert "2 labels" in shown.stdout and "(words)" in shown.stdout and "at most" in shown.stdout
    told = json.loads(motet("weights", "--config", config, "--json").stdout)["guard"]
    assert told["regret"] <= told["bound"] and told["best"] == "words"
    again = motet("label", id, "--index", 1, "--clean", "--config", config)
    assert again.exit_code == 1 and "has a label already" in again.stderr


def replace_config(document):
    """Return the document with nothing changed but its identity, as `running` wants it."""
    copy = replace(document)
    copy.config = document.config
    return copy


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("label", "modr-x"), "either --clean, or --is"),
        (("label", "modr-x", "--clean", "--is", "hate"), "either --clean, or --is"),
        (("train", "absent.jsonl", "--out", "o"), "absent.jsonl: cannot be read"),
        (("train", "absent.jsonl", "--out", "o", "--reads", "lettres"), "Did you mean 'letters'"),
    ],
)
def test_faults_are_named(config, arguments, said):
    done = motet(*arguments, *(("--config", config) if arguments[0] == "label" else ()))
    assert done.exit_code == 1 and said in done.stderr, done.output


def test_a_classifier_is_trained_and_judged(tmp_path):
    rows = [
        {"text": f"{word} {n}", "categories": [of] if of else []}
        for n in range(12)
        for word, of in (("fool", "rude"), ("bread", ""))
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = motet("train", path, "--out", tmp_path / "c", "--reads", "words", "--test", path)
    assert done.exit_code == 0 and "accuracy 1.0" in done.stdout, done.output
    told = motet("train", path, "--out", tmp_path / "c", "--reads", "words", "--json")
    assert json.loads(told.stdout)["texts"] == 24
