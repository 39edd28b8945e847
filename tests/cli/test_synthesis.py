"""`motet profile synthesis`: asked through a real service of fakes, kept in the profile."""

import json

import pyarrow as pa
import pytest
from pyarrow.parquet import write_table
from tests.conftest import running
from typer.testing import CliRunner

from motet.cli.main import app
from motet.routers.skill import lexical
from motet.routers.skill.profile import AnnotatorRecord, Profile

CONFIG = """
version: 1
experts:
  - {id: knows, engine: fake, tokens: ["yes"]}
  - {id: echo, engine: fake}
"""
QUESTIONS = ["one", "two", "three"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "experts.yaml").write_text(CONFIG)
    lines = [
        {"id": q, "query": f"Is {q} a number?", "grader": "exact", "reference": "yes"}
        for q in QUESTIONS
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    columns = {"id": QUESTIONS}
    for expert, text in (("a", "yes"), ("b", "no"), ("c", "never")):
        columns |= {f"answer:{expert}": [text] * 3, f"score:{expert}": [float(text == "yes")] * 3}
    write_table(pa.table(columns), tmp_path / "table.parquet")
    annotator = AnnotatorRecord(kind="lexical", digest=lexical.digest())
    Profile(annotator=annotator, experts=("knows", "echo")).save(tmp_path / "skills.json")
    return tmp_path


def synthesis(folder, *options):
    names = ("skills.json", "experts.yaml", "prompts.jsonl", "table.parquet")
    paths = [str(folder / name) for name in names]
    return CliRunner().invoke(app, ["profile", "synthesis", *paths, *options])


def test_the_result_is_kept_in_the_profile(folder):
    with running(CONFIG) as service:
        done = synthesis(folder, "--url", service.url, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["synthesis"] == {"knows": [3, 3], "echo": [0, 3]}
        profile = Profile.load(folder / "skills.json")
        assert profile.synthesis == {"knows": (3, 3), "echo": (0, 3)}
        assert profile.aggregator(profile.synthesis) == "knows"
        again = synthesis(folder, "--url", service.url, "--experts", "echo", "--count", "2")
        assert again.exit_code == 0 and "echo" in again.stdout
    assert Profile.load(folder / "skills.json").synthesis == {"knows": (3, 3), "echo": (0, 2)}


def test_an_expert_that_does_not_exist(folder):
    done = synthesis(folder, "--experts", "ecko")
    assert done.exit_code != 0 and "Did you mean 'echo'" in done.output


def test_a_profile_that_is_not_there(folder):
    (folder / "skills.json").unlink()
    done = synthesis(folder)
    assert done.exit_code != 0 and "no such file" in done.output
