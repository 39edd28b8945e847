"""`motet profile` as a person runs it."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.conftest import running
from tests.routers.skill import world
from typer.testing import CliRunner

from motet.cli.main import app
from motet.routers.skill.profile import Profile

FLEET = """
version: 1
experts:
  - {id: namer, engine: fake, tokens: ['{"skills": ["pleading", "torts"]}']}
  - {id: coder, engine: fake}
"""


def write(path, rows=60, seed=0):
    table = world.table(rows, seed)
    columns = {"query": table.queries, "task": table.tasks}
    columns |= {f"score:{e}": table.scores[:, at] for at, e in enumerate(table.experts)}
    parquet.write_table(pa.table(columns), path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "table.parquet")
    write(tmp_path / "other.parquet", seed=1)
    (tmp_path / "experts.yaml").write_text(FLEET)
    return tmp_path


def motet(*arguments):
    return CliRunner().invoke(app, ["profile", *map(str, arguments)])


def built(name="p.json", table="table.parquet", *more):
    done = motet("build", table, "--out", name, "--exact", *more)
    assert done.exit_code == 0, done.output
    return done


def test_build_show_and_merge(folder):
    done = built("p.json", "table.parquet", "--json")
    facts = json.loads(done.stdout)
    assert facts["rows"] == 60 and facts["annotator"] == "lexical" and facts["encoder"] is None
    built("q.json", "other.parquet")
    assert motet("merge", "p.json", "q.json", "--out", "both.json").exit_code == 0
    both = Profile.load(folder / "both.json")
    assert sum(both.overall["coder"]) == 120
    shown = motet("show", "both.json")
    assert "all questions" in shown.stdout and "share of picks" in shown.stdout
    facts = json.loads(motet("show", "both.json", "--json").stdout)
    found = {skill["skill"]: skill["best"] for skill in facts["skills"]}
    assert found["algebra"] == "solver" and found["python"] == "coder" and found["law"] == "jurist"
    assert facts["aggregator"] is None


def test_pictures(folder):
    built()
    done = motet("show", "p.json", "--png", "map.png", "--html", "deep/map.html")
    assert done.exit_code == 0, done.output
    assert (folder / "map.png").read_bytes().startswith(b"\x89PNG")
    html = (folder / "deep" / "map.html").read_text()
    assert "data:image/png;base64," in html and "algebra" in html
    assert "http" not in html and "<script" not in html


def test_an_expert_names_the_skills(folder):
    with running(FLEET) as service:
        built(
            "p.json", "table.parquet", "--annotator", "namer",
            "--config", "experts.yaml", "--url", service.url,
        )  # fmt: skip
    profile = Profile.load(folder / "p.json")
    assert set(profile.counts) == {"pleading", "torts"}
    assert profile.annotator.expert == "namer"
    assert len((folder / "p.annotations.jsonl").read_text().splitlines()) == 60


def test_a_stale_profile_is_refused(folder):
    built()
    assert motet("show", "p.json", "--table", "table.parquet").exit_code == 0
    done = motet("show", "p.json", "--table", "other.parquet")
    assert done.exit_code == 1 and "stale: it does not count other.parquet" in said(done)


def said(done):
    return " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "tabl.parquet", "--out", "x.json"], "Did you mean 'table.parquet'?"),
        (["build", "table.parquet", "--out", "x.json", "--annotator", "namer"], "names no config"),
        (
            ["build", "table.parquet", "--out", "x.json", "--annotator", "namr", "--config", "experts.yaml"],
            "no expert 'namr' in experts.yaml. Did you mean 'namer'?",
        ),
        (["build", "table.parquet", "--out", "x.json", "--exact", "--merge", "0.9"], "--exact uses no"),
        (["build", "table.parquet", "--out", "x.json", "--exact", "--least", "61"], "Lower --least"),
        (["show", "nothing.json"], "there is no such file"),
        (["merge", "p.json", "--out", "x.json"], "needs two profiles"),
        (["merge", "p.json", "p.json", "--out", "x.json"], "count table table"),
    ],
)  # fmt: skip
def test_mistakes(folder, arguments, message):
    built()
    done = motet(*arguments)
    assert done.exit_code == 1
    assert message in said(done)
    assert not (folder / "x.json").exists()
