"""`motet plan` on models whose files are made here."""

import json

import pytest
from tests.cli.plans import CONFIG, folder_of
from typer.testing import CliRunner

from motet.cli.main import app


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path)


def plan(folder, *options):
    return CliRunner().invoke(app, ["plan", str(folder / "experts.yaml"), *options])


def test_what_the_config_pins_is_pinned(folder):
    text = CONFIG.replace("model: small,", "model: small, pinned: true,")
    (folder / "experts.yaml").write_text(text)
    found = json.loads(plan(folder, "--devices", "cpu:8GiB", "--json").stdout)
    assert found["experts"][0]["why"] == "pinned"


def test_sizes_come_from_files(folder):
    done = plan(folder, "--devices", "cpu:8GiB", "--traffic", "tuned=3,small=1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    small, large = found["experts"]
    # In 32 bits, which transformers may choose on a CPU: as the swapper counts them too.
    assert (small["id"], small["weight_bytes"]) == ("small", 4 << 20)
    assert (large["id"], large["weight_bytes"]) == ("large", 8 << 20)
    assert large["traffic"] == 0.75  # its adapter's
    assert small["kv_bytes"] >= 8 * 1000 * 2 * 2 * 64 * 2
    assert found["gap"] == 0 and found["wait_s"] == 0


def test_a_table_and_a_picture(folder, tmp_path):
    done = plan(folder, "--devices", "cpu:1.5GiB", "--png", str(tmp_path / "plan.png"))
    assert done.exit_code == 0, done.output
    assert "resident" in done.stdout and "on disk" in done.stdout and "first-fit" in done.stdout
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")


def test_this_machine_by_default(folder):
    assert plan(folder).exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--devices", "cpu:1GiB"], "expert 'small' needs"),
        (["--traffic", "smal=1"], "Did you mean 'small'"),
        (["--traffic", "small"], "not of the form expert=weight"),
        (["--traffic", "remote=1"], "any traffic"),
        (["--pin", "larg"], "Did you mean 'large'"),
        (["--host-memory", "much"], "no size such as"),
    ],
)
def test_bad_input(folder, options, said):
    done = plan(folder, *options)
    assert done.exit_code != 0 and said in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("devices", "traffic", "best"),
    [
        ("8GiB", "tuned=3,large=1", (False, None, "no idle device has")),
        ("8GiB", "tuned=1,small=9", (True, None, "nobody else uses the engine")),
        ("8GiB,8GiB", "tuned=1,large=9", (False, None, "10% of the engine")),
        ("8GiB,8GiB,8GiB", "tuned=3,large=1,small=1", (True, "gpu-", "is idle")),
        ("8GiB,8GiB,1GiB", "tuned=3,large=1,small=1", (False, None, "no idle device")),
    ],
)
def test_adapters_are_merged_where_that_pays(folder, devices, traffic, best):
    merge, device, why = best
    done = plan(folder, "--devices", devices, "--traffic", traffic, "--json")
    (advice,) = json.loads(done.stdout)["adapters"]
    assert advice["adapter"] == "tuned" and advice["base"] == "large"
    assert advice["merge"] is merge and why in advice["why"]
    if device is None:
        assert advice["device"] is None
    else:
        seated = {name for e in json.loads(done.stdout)["experts"] for name in e["devices"]}
        assert advice["device"] not in seated
    shown = plan(folder, "--devices", devices, "--traffic", traffic).stdout
    assert ("merge" in shown) is merge
