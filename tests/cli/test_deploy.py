"""`motet deploy`: manifests, as a plan has them."""

import json

import pytest
import yaml
from tests.cli.plans import folder_of
from typer.testing import CliRunner

from motet.cli.main import app


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path)


def test_a_deployment_can_follow_the_plan(folder):
    done = CliRunner().invoke(
        app,
        ["deploy", str(folder / "experts.yaml"), "--plan", "8GiB", "--traffic", "tuned=3,small=1"],
    )
    assert done.exit_code == 0, done.output
    apps = {each["name"]: each["args"] for each in yaml.safe_load(done.stdout)["applications"]}
    small, large = (
        json.loads(apps[f"motet-pool-{name}"]["config"])["experts"][0]["resources"]
        for name in ("small", "large")
    )
    assert 0 < small["gpus"] < large["gpus"] and small["gpus"] + large["gpus"] <= 1
    assert large["memory"] > small["memory"] > 2**20
    told = CliRunner().invoke(app, ["deploy", str(folder / "experts.yaml"), "--plan", "h1000"])
    assert told.exit_code == 1 and "no device 'h1000'" in told.output
