"""`motet decisions` and `motet usage`: what a service has kept, as its users read it."""

import json

import pytest
from tests.cli.command import motet
from tests.conftest import parse, running, wait_for

from motet.cli.moments import moment
from motet.errors import ConfigError

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
routers:
  first: {kind: constant, expert: dead, fallbacks: [echo]}
compositions:
  auto: {router: first}
store: {path: store.db, text: true, redact: [secret]}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config that was served for a while."""
    path = tmp_path_factory.mktemp("served") / "experts.yaml"
    path.write_text(FLEET)
    with running(parse(FLEET, folder=path.parent)) as service:
        wait_for(lambda: service.get("/ready").json()["complete"])
        service.chat("a secret \x1b[31m", model="auto")
        service.chat(model="echo")
        service.chat(model="nobody")
    return path


def test_decisions_are_listed_and_filtered(config):
    shown = motet("decisions", "--config", config)
    assert shown.stdout.count("\n") == 4 and "model_not_found" in shown.stdout, shown
    assert all(len(row) <= 80 for row in shown.stdout.splitlines())

    def models(*options):
        rows = json.loads(motet("decisions", "--config", config, "--json", *options).stdout)
        return [row["composition"] for row in rows]

    assert models() == ["unknown", "echo", "auto"]
    assert models("--limit", "1") == ["unknown"] and models("--since", "1h") == models()
    assert models("--expert", "dead") == ["auto"] and models("--composition", "echo") == ["echo"]
    assert models("--outcome", "error") == models("--outcome", "model_not_found") == ["unknown"]
    nothing = motet("decisions", "--config", config, "--expert", "ecko").stdout
    assert "No decision is like that" in nothing and "Did you mean 'echo'?" in nothing


def test_one_is_shown_whole_and_redacted_without_commands_to_the_terminal(config):
    listed = json.loads(
        motet("decisions", "--config", config, "--composition", "auto", "--json").stdout
    )
    beginning = listed[0]["decision"][:12]
    shown = motet("decisions", "show", beginning, "--config", config).stdout
    assert "always 'dead'" in shown and "user: a [redacted]" in shown and "\x1b" not in shown
    assert "scripted failure" in shown and shown.index("dead  answer") < shown.index("echo  answer")
    about = json.loads(motet("decisions", "show", beginning, "--config", config, "--json").stdout)
    assert about == listed[0]
    unknown = motet("decisions", "show", "nobody", "--config", config)
    assert unknown.returncode == 1 and "No such decision: 'nobody'" in unknown.stderr


def test_usage_is_summed_by_what_is_asked_for(config):
    rows = json.loads(motet("usage", "--config", config, "--by", "expert", "--json").stdout)
    assert [(r["expert"], r["requests"], r["calls"]) for r in rows] == [
        ("", 1, 0),
        ("dead", 0, 1),
        ("echo", 2, 2),
    ]
    assert rows[2]["cost_usd"] > 0
    shown = motet("usage", "--config", config).stdout
    assert "read  written" in shown and "none" in shown
    assert "Nothing has been used since 2100-01-01." in motet(
        "usage", "--config", config, "--since", "2100-01-01T12:00+00:00"
    ).stdout  # fmt: skip
    wrong = motet("usage", "--config", config, "--by", "day,expart")
    assert wrong.returncode == 1 and "Did you mean 'expert'?" in wrong.stderr


@pytest.mark.parametrize("command", ["decisions", "usage"])
def test_what_is_wrong_is_said_in_words(tmp_path, command):
    (tmp_path / "experts.yaml").write_text(FLEET)
    config = tmp_path / "experts.yaml"
    nothing = motet(command, "--config", config)
    assert nothing.returncode == 1 and "nothing is kept here yet" in nothing.stderr
    wrong = motet(command, "--config", config, "--since", "yesterday")
    assert wrong.returncode == 1 and "7d" in wrong.stderr
    url = "store: {url: 'postgresql://u:hunter2@127.0.0.1:9/d'}"
    config.write_text(FLEET[: FLEET.index("store:")] + url)
    away = motet(command, "--config", config)
    assert away.returncode == 1 and "Is the database up" in away.stderr
    assert "hunter2" not in away.stderr


@pytest.mark.parametrize("text", ["yesterday", "7", "d7", "-1d", "99999999999d", "2026-13-01", ""])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(ConfigError, match="--since"):
        moment("--since", text)


def test_moments():
    assert moment("--since", None) is None
    assert moment("--since", "2h", now=10_000.0) == 2800.0
    assert moment("--since", "1970-01-02T00:00+00:00") == 86_400.0
