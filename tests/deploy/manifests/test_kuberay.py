"""The RayService for Kubernetes, checked against KubeRay's own schema and against Serve's."""

import gzip
import json
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _get_custom_resources
from ray.serve.schema import ServeDeploySchema
from typer.testing import CliRunner

from motet.cli.main import app
from motet.config import load, load_as, parse
from motet.deploy.manifests import kuberay
from motet.deploy.pools import in_process
from motet.errors import ConfigError

VALUES = Path("deploy/values.yaml")


@pytest.fixture(scope="module")
def schema():
    """KubeRay's schema; a field that Kubernetes would drop in silence is a fault here."""
    packed = Path("tests/deploy/crds/rayservice-v1.7.0.json.gz").read_bytes()

    def closed(node):
        if isinstance(node, dict):
            node = {key: closed(value) for key, value in node.items()}
            if (
                isinstance(node.get("properties"), dict)
                and "additionalProperties" not in node
                and "x-kubernetes-preserve-unknown-fields" not in node
            ):
                node["additionalProperties"] = False
        elif isinstance(node, list):
            node = [closed(value) for value in node]
        return node

    found = closed(json.loads(gzip.decompress(packed)))
    # Kubernetes itself knows these; a resource's schema says `object` alone.
    found["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return found


def values(tmp_path, text, *, strict=False):
    file = tmp_path / "values.yaml"
    if not strict and "open_to_all" not in text:
        text += "\nopen_to_all: true\n"
    file.write_text(text)
    return load_as(file, kuberay.Values, "a values file")


RICH = """
name: fleet
image: motet:cpu
secret: keys
cache_claim: weights
workers:
  - {name: gpu, image: 'motet:gpu', gpus: 2, cpu: 8, memory: 64GiB, least: 0, most: 4,
     node_selector: {accelerator: h100}}
  - {name: cpu, cpu: 1.5}
"""


@pytest.mark.parametrize("text", [VALUES.read_text(), RICH])
def test_kuberay_takes_it(schema, tmp_path, text):
    made = kuberay.of(load("experts.yaml"), values(tmp_path, text))
    jsonschema.validate(made, schema)
    with pytest.raises(jsonschema.ValidationError, match="surge"):
        made["spec"]["upgradeStrategy"]["surge"] = 1
        jsonschema.validate(made, schema)


def test_serve_takes_the_config_inside(tmp_path):
    document = load("experts.yaml")
    inside = yaml.safe_load(kuberay.of(document, values(tmp_path, RICH))["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(inside)
    arguments = [application["args"] for application in inside["applications"]]
    assert {a["folder"] for a in arguments} == {"/srv/motet"}
    assert arguments[0]["config"] == document.text


def test_what_the_values_say(tmp_path):
    cluster = kuberay.of(load("experts.yaml"), values(tmp_path, RICH))["spec"]["rayClusterConfig"]
    gpu, cpu = cluster["workerGroupSpecs"]
    (container,) = gpu["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {
        "cpu": "8", "memory": "65536Mi", "nvidia.com/gpu": "2"
    }  # fmt: skip
    assert container["image"] == "motet:gpu"
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert (gpu["minReplicas"], gpu["maxReplicas"]) == (0, 4)
    assert gpu["template"]["spec"]["nodeSelector"] == {"accelerator": "h100"}
    (plain,) = cpu["template"]["spec"]["containers"]
    assert plain["image"] == "motet:cpu"
    assert plain["resources"]["limits"] == {"cpu": "1.5", "memory": "8192Mi"}


PLANNED = """
version: 1
experts:
  - {id: a, engine: fake-pool, resources: {gpus: 0.5, device: gpu-0}}
  - {id: b, engine: fake-pool, resources: {gpus: 1, device: gpu-1}}
routers: {r: {kind: constant, expert: a}}
compositions: {auto: {router: r}}
"""
DEVICES = """
image: i
workers:
  - {name: h100, gpus: 1, devices: [gpu-0, gpu-1]}
  - {name: cpu, most: 2}
"""


def test_a_planned_device_is_a_pod(schema, tmp_path):
    made = kuberay.of(parse(PLANNED), values(tmp_path, DEVICES))
    jsonschema.validate(made, schema)
    groups = made["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert [g["groupName"] for g in groups] == ["h100-gpu-0", "h100-gpu-1", "cpu"]
    for number, group in enumerate(groups[:2]):
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"] == 1
        wanted = {f"motet-gpu-{number}": 1}
        start = group["rayStartParams"]
        assert _get_custom_resources({}, start, "") == wanted  # as the autoscaler reads it
        assert json.loads(*shlex.split(start["resources"])) == wanted  # and a shell
    assert groups[2]["rayStartParams"] == {}
    (container,) = groups[2]["template"]["spec"]["containers"]
    assert {"name": "MOTET_DEVICES", "value": "gpu-0,gpu-1"} in container["env"]


def test_a_planned_device_without_a_pod_is_named(tmp_path):
    one = values(tmp_path, DEVICES.replace("gpu-0, ", ""))
    with pytest.raises(ConfigError, match="no workers have the device gpu-0; they have gpu-1"):
        kuberay.of(parse(PLANNED), one)
    nobody = values(tmp_path, "image: i\nworkers: [{name: a}]")
    kuberay.of(parse(PLANNED), nobody)  # Ray chooses


@pytest.mark.parametrize(("announced", "pinned"), [("gpu-0,gpu-1", True), ("gpu-10", False)])
def test_a_pool_waits_for_a_pod_that_is_announced(monkeypatch, announced, pinned):
    monkeypatch.setenv("MOTET_DEVICES", announced)
    nodes = {"CPU": 4.0}
    found = in_process.pin(parse(PLANNED).config.experts[1], 1.0, nodes)
    assert found == ({"motet-gpu-1": 1.0} if pinned else {})


def test_the_shipped_manifest_is_what_the_command_writes(tmp_path):
    out = tmp_path / "rayservice.yaml"
    done = CliRunner().invoke(app, ["deploy", "--values", str(VALUES), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "kubectl apply -f" in done.output
    assert out.read_text() == Path("deploy/rayservice.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "image: i\nworkers: [{name: a, lest: 1}]",
            "values.yaml:2: .*'lest'. Did you mean 'least'",
        ),
        ("image: i\nworkers: [{name: a, least: 3}]", "least 3 is more than most 1"),
        ("image: i\nworkers: [{name: a, devices: [g], most: 2}]", "leave least and most out"),
        ("image: i\nworkers: [{name: a, devices: [g], gpus: 2}]", "one device, but has 2 GPUs"),
        (
            "image: i\nworkers: [{name: a, devices: [g]}, {name: b, devices: [g]}]",
            "device g is named more than once",
        ),
        ("image: i\nworkers: []", "workers: .*at least 1 item"),
        ("workers: [{name: a}]", "'image' is required"),
        ("image: i\nname: Motet\nworkers: [{name: a}]", "values.yaml:2: name"),
        ("image: [", "not valid YAML"),
    ],
)
def test_bad_values(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        values(tmp_path, text, strict=True)


def test_no_values_and_an_address_at_once(tmp_path):
    arguments = ["deploy", "--values", str(VALUES), "--address", "auto"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0
    assert "--values writes a file" in str(done.output) + str(done.exception)


def test_dockerfiles_copy_what_is_there():
    for name in ("cpu", "gpu"):
        lines = Path(f"deploy/{name}.Dockerfile").read_text().splitlines()
        for line in lines:
            if line.startswith("COPY"):
                assert all(Path(source).exists() for source in line.split()[1:-1]), line


def test_whoever_reaches_it_needs_a_key_unless_it_is_said_plainly(tmp_path):
    plain = values(tmp_path, "image: i\nworkers: [{name: a}]", strict=True)
    with pytest.raises(ConfigError, match="no api_keys are set"):
        kuberay.of(load("experts.yaml"), plain)
    text = "version: 1\nexperts: [{id: a, engine: fake}]\nservice: {api_keys: [k]}\n"
    made = kuberay.of(parse(text), plain)
    cluster = made["spec"]["rayClusterConfig"]
    assert cluster["authOptions"] == {"mode": "token"}
    env = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "RAY_AUTH_MODE", "value": "token"} in env
    (ingress, *_) = yaml.safe_load(made["spec"]["serveConfigV2"])["applications"]
    assert ingress["args"]["host"] == "0.0.0.0"  # whose names the ingress answers to
