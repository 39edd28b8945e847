"""The Serve config of a graph: what `serve deploy`, KubeRay and `motet deploy` apply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from motet import files
from motet.config import Document
from motet.deploy import cluster
from motet.deploy.arguments import ingress_arguments, pool_arguments, pools_of, swapper_arguments
from motet.deploy.names import INGRESS, SWAPPER, pool_of
from motet.errors import DeployError


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they stand, so that a config inside a config can be read."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a string."""
        return self.represent_scalar(
            "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
        )


_Dumper.add_representer(str, _Dumper.represent_text)


def of(document: Document) -> dict[str, Any]:
    """Return the Serve config of `document`, as plain values.

    The config's text travels inside it, with its `${ENV}` unexpanded: each process on the cluster
    reads secrets from its own environment.
    """
    service = document.config.service
    apps = [_application(INGRESS, "/", "ingress", dict(ingress_arguments(document)))]
    swapped = document.config.residency is not None
    if swapped:
        arguments = dict(swapper_arguments(document))
        apps.append(_application(SWAPPER, None, "swapper", arguments))
    for expert, _ in pools_of(document):
        arguments = dict(pool_arguments(document, expert, swapped=swapped))
        apps.append(_application(pool_of(expert), None, "pool", arguments))
    return {
        "http_options": {"host": service.host, "port": service.port},
        "applications": apps,
    }


def text(content: dict[str, Any]) -> str:
    """Return a Serve config as YAML."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=100)


def write(content: dict[str, Any], path: str) -> Path:
    """Write a Serve config to `path`, whole or not at all."""
    target = Path(path)
    try:
        files.write_text(target, text(content))
    except OSError as error:
        raise DeployError(f"Cannot write {target}: {error.strerror}.") from None
    return target


def apply(content: dict[str, Any], document: Document, address: str) -> None:
    """Apply a Serve config to the Ray at `address` and return; applications start by themselves.

    Raises
    ------
    DeployError
        There is no Ray there, or Serve refuses the config.
    """
    cluster.start(document, address)
    try:
        from ray import serve
        from ray.serve.schema import ServeDeploySchema

        serve.context._get_global_client().deploy_apps(ServeDeploySchema(**content))
    finally:
        cluster.disconnect()


def _application(
    name: str, route_prefix: str | None, builder: str, args: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "route_prefix": route_prefix,
        "import_path": f"motet.deploy.graph:{builder}",
        "args": args,
    }
