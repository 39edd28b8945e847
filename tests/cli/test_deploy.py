"""`motet deploy`: manifests, as a plan has them."""

import json
import subprocess
from pathlib import Path

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


def test_what_a_node_needs_is_for_a_shell():
    done = CliRunner().invoke(app, ["deploy", "--env"])
    assert done.exit_code == 0, done.output
    printed = 'echo "$RAY_AUTH_MODE $RAY_SERVE_ENABLE_HA_PROXY $PROMETHEUS_MULTIPROC_DIR"'
    shell = subprocess.run(
        ["bash", "-euc", f"{done.stdout}\n{printed}"], capture_output=True, text=True, check=True
    )
    mode, proxy, folder = shell.stdout.split()
    assert (mode, proxy) == ("token", "1")
    Path(folder).rmdir()  # made, and empty
