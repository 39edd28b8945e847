"""`motet check`: right configs, and every problem of wrong ones."""

import json

from tests.cli.command import FAKES, motet
from tests.conftest import FLEET


def test_check(config):
    good = motet("check", config)
    assert good.returncode == 0
    assert "1 experts (echo)" in good.stdout and "echo: MIT" in good.stdout
    assert json.loads(motet("check", config, "--json").stdout)["valid"] is True


def test_check_names_every_problem(config):
    config.write_text(
        FAKES.replace("engine: fake", "engine: fkae").replace("expert: echo", "expert: ecko")
    )
    bad = motet("check", config)
    assert bad.returncode == 1 and bad.stdout == ""
    assert "Did you mean 'fake'?" in bad.stderr and "Did you mean 'echo'?" in bad.stderr
    report = json.loads(motet("check", config, "--json").stdout)
    assert report["valid"] is False and len(report["problems"]) == 2


def test_check_missing_file(tmp_path):
    bad = motet("check", tmp_path / "none.yaml")
    assert bad.returncode == 1 and "cannot be read" in bad.stderr


def test_fleet_fixture_is_a_right_config(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET)
    assert motet("check", path).returncode == 0
