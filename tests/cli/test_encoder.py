"""`motet encoder fit`: what it makes, and what it says of files that are wrong."""

import json

import pytest
from tests.encoders.words import word_encoder
from typer.testing import CliRunner

from motet.cli.main import app
from motet.encoders.domains import Domains

ROWS = [
    {"domain": domain, "question": f"what is {a} of {b}", "document": f"{b} {a}"}
    for domain, words in (("sea", "sail rope mast wind"), ("law", "court judge statute appeal"))
    for a in words.split()
    for b in words.split()
]


def motet(*arguments):
    return CliRunner().invoke(app, ["encoder", "fit", *map(str, arguments)])


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    (folder / "q.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    word_encoder(folder / "encoder")
    return folder


def quick(here, *more):
    options = ("--encoder", here / "encoder", "--epochs", 3, "--rank", 4, "--centroids", 2)
    return motet(here / "q.jsonl", *options, *more)


def test_an_expert_for_each_domain(here):
    done = quick(here, "--out", here / "domains", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    made = Domains.load(here / "domains")
    assert made.names == ("law", "sea") and set(told["of"]) == {"law", "sea"}
    assert made.centroids.shape == (2, 2, 16) and made.down.shape == (2, 16, 4)


def test_one_expert_for_all(here):
    done = quick(here, "--out", here / "general", "--together", "all")
    assert done.exit_code == 0 and "all" in done.stdout and "nDCG@10" in done.stdout
    assert Domains.load(here / "general").names == ("all",)


def test_faults_are_named(here):
    assert "cannot be read" in motet(here / "absent.jsonl", "--out", here / "x").stderr
    (here / "few.jsonl").write_text(json.dumps(ROWS[0]))
    done = motet(here / "few.jsonl", "--out", here / "x", "--encoder", here / "encoder")
    assert done.exit_code == 1 and "has 1 questions, and 8 are needed" in done.stderr
