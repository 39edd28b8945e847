"""`motet simulate` on models whose files are made here, and a trace made up or read."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from motet.cli.main import app

CONFIG = """
version: 1
experts:
  - {id: home, engine: transformers, model: m, pinned: true, dtype: float16, context: 512}
  - {id: b, engine: transformers, model: m, dtype: float16, context: 512}
  - {id: c, engine: transformers, model: m, dtype: float16, context: 512}
  - {id: remote, engine: openai, url: "http://127.0.0.1:9/v1", model: x}
residency: {memory: 5MiB, max_wait_s: 100, turn_s: 2}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.zeros(1 << 20, np.float16)}, tmp_path / "m" / "model.safetensors")
    about = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64}
    (tmp_path / "m" / "config.json").write_text(json.dumps({**about, "dtype": "float16"}))
    (tmp_path / "experts.yaml").write_text(CONFIG)
    return tmp_path


def simulate(folder, *options):
    return CliRunner().invoke(app, ["simulate", str(folder / "experts.yaml"), *options])


def test_policies_side_by_side(folder):
    options = ["--requests", "2000", "--rate", "0.2", "--json", "--plot", str(folder / "p.png")]
    done = simulate(folder, *options)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert list(found["policies"]) == ["worth", "lru", "in-order"]
    (device,) = found["devices"]
    assert device["experts"] == {name: 2 << 20 for name in ("home", "b", "c")}
    for figures in found["policies"].values():
        assert 0 < figures["hit_share"] < 1 and figures["loads"] > 3
        assert figures["wait_p50_s"] <= figures["wait_p95_s"] <= 100
    assert (folder / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(simulate(folder, *options[:5]).stdout)["policies"] == found["policies"]
    shown = simulate(folder, "--requests", "200", "--rate", "0.2", "--policies", "lru")
    assert shown.exit_code == 0 and "lru" in shown.output and "in-order" not in shown.output


def test_a_trace_and_a_calibration_from_files(folder):
    rows = [f"{10 * n},{'bc'[n % 2]},1" for n in range(20)]
    (folder / "t.csv").write_text("at,expert,seconds\n" + "\n".join(rows) + "\n")
    pace = {"start_s": 1.0, "load_rate": 2e6, "unload_s": 0.0}
    (folder / "pace.json").write_text(json.dumps(pace))
    files = ["--trace", str(folder / "t.csv"), "--calibration", str(folder / "pace.json")]
    found = json.loads(simulate(folder, *files, "--policies", "lru", "--json").stdout)
    lru = found["policies"]["lru"]
    # Beside `home` there is room for one: every request but the first, for which `b` was loaded
    # ahead, waits for a load of 1 + 2**21 / 2e6 s.
    assert lru["loads"] == 1 + 20
    assert lru["wait_p95_s"] == pytest.approx(1 + 2**21 / 2e6)


def test_devices_get_experts_as_the_planner_places_them(folder):
    done = simulate(folder, "--devices", "2GiB,2GiB", "--requests", "500", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    homes = [set(device["experts"]) for device in found["devices"]]
    assert len(homes) == 2 and set.union(*homes) == {"home", "b", "c"}
    assert not set.intersection(*homes)
    assert found["policies"]["worth"]["loads"] >= 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policies", "wort"], "no policy 'wort'. Did you mean 'worth'?"),
        (["--traffic", "homer=1"], "no expert 'homer' holds a model. Did you mean 'home'?"),
        (["--traffic", "remote=1"], "no expert 'remote' holds a model"),
        (["--memory", "much"], "--memory 'much' is no size"),
        (["--memory", "1MiB"], "takes 2MiB, and the memory is 1MiB"),
        (["--trace", "nowhere.csv"], "there is no such file"),
        (["--calibration", "nowhere.json"], "cannot be read"),
        (["--devices", "h1000"], "no device 'h1000'"),
    ],
)
def test_bad_input_is_told(folder, options, said):
    done = simulate(folder, *options)
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())
