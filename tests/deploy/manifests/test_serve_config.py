"""The config that Serve takes: no secrets in it, and no needless restarts."""

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema
from tests.deploy.helpers import TEXT

from motet.config import load, parse
from motet.deploy.manifests import serve_config
from motet.errors import DeployError


def test_serve_config(document, tmp_path):
    content = serve_config.of(document)
    ServeDeploySchema(**content)  # what Ray itself checks
    names = [app["name"] for app in content["applications"]]
    assert names == ["motet", "motet-pool-org--base", "motet-pool-here"]
    assert content["http_options"] == {"host": "127.0.0.1", "port": 8123}
    text = serve_config.text(content)
    assert "s3cret" not in text and "${KEY}" in text
    path = serve_config.write(content, str(tmp_path / "serve.yaml"))
    assert yaml.safe_load(path.read_text()) == content
    assert [p.name for p in tmp_path.iterdir()] == ["serve.yaml"]
    with pytest.raises(DeployError, match="Cannot write"):
        serve_config.write(content, str(tmp_path / "none" / "serve.yaml"))


def test_a_new_adapter_or_expert_restarts_no_pool(document):
    """Serve restarts an application whose arguments differ."""
    more = TEXT.replace(
        "  - {id: here", "  - {id: lora2, engine: vllm, base: org/base, adapter: adapters/y}\n"
        "  - {id: new, engine: vllm, model: org/new}\n  - {id: here"
    )  # fmt: skip
    before, after = serve_config.of(document), serve_config.of(parse(more, env={"KEY": "s3cret"}))

    def arguments(content, pool):
        return next(app["args"] for app in content["applications"] if app["name"] == pool)

    for pool in ("motet-pool-org--base", "motet-pool-here"):
        assert arguments(before, pool) == arguments(after, pool)
        assert "KEY" not in arguments(before, pool)["config"]
    assert '"adapter_slots":8' in arguments(before, "motet-pool-org--base")["config"]
    assert arguments(before, "motet") != arguments(after, "motet")


def test_shipped_example_deploys():
    assert len(serve_config.of(load("experts.yaml"))["applications"]) == 3
