"""A Ray cluster on Kubernetes: the RayService that KubeRay keeps running, from a values file.

Written for `ray.io/v1` of KubeRay 1.7. Upgrades in steps (`NewClusterWithIncrementalUpgrade`) move
traffic to a new cluster share by share, and need the Gateway API and KubeRay's feature gate
`RayServiceIncrementalUpgrade`.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from pydantic import ByteSize, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from motet.config import Document, Options
from motet.deploy import cluster
from motet.deploy.manifests import serve_config
from motet.deploy.names import DEVICES, device_resource
from motet.errors import ConfigError

_NAME = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
# Behind a name and a dash it is the label of a group, which has 63 characters at most.
_DEVICE = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$")]
# A pod's loopback is nobody else's; the cluster's network and `service.api_keys` guard it.
_EVERYWHERE = "0.0.0.0"  # noqa: S104
_CACHE = "/var/cache/motet"
_METRICS = "/var/run/motet-metrics"


class Pod(Options):
    """What one pod takes."""

    cpu: PositiveFloat = 2.0
    """Cores."""
    memory: ByteSize = ByteSize(8 * 2**30)
    """Memory, such as 16GiB."""


class Workers(Pod):
    """Pods of one kind that hold experts."""

    name: _NAME
    """Name of the group."""
    gpus: NonNegativeInt = 0
    """GPUs of each pod."""
    image: str | None = None
    """Another image than the head's."""
    least: NonNegativeInt = 1
    """Pods that are always there."""
    most: PositiveInt = 1
    """Pods that load may call for."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the machines that may run them."""
    devices: list[_DEVICE] = Field(default_factory=list)
    """Planned devices, such as h100-0. Each is one pod of this kind that is always there, and holds
    what is planned on it."""

    @model_validator(mode="after")
    def _consistent(self) -> Workers:
        if self.least > self.most:
            raise ValueError(f"least {self.least} is more than most {self.most}")
        if self.devices and {"least", "most"} & self.model_fields_set:
            raise ValueError("with devices there is one pod each: leave least and most out")
        if self.devices and self.gpus > 1:
            raise ValueError(f"a pod is one device, but has {self.gpus} GPUs")
        return self


class Upgrade(Options):
    """Upgrades in steps; without this a new cluster takes all traffic once it is ready."""

    gateway_class: str
    """GatewayClass that routes the traffic."""
    step_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """Traffic that moves at once."""
    interval_s: PositiveInt = 10
    """Seconds between two steps."""
    surge_percent: Annotated[int, Field(ge=1, le=100)] = 100
    """How much of the new cluster may stand beside the old one."""


class Values(Options):
    """The values file."""

    name: _NAME = "motet"
    """Name of the RayService."""
    image: str
    """Image with Motet, Ray and the folder."""
    folder: Annotated[str, Field(pattern="^/")] = "/srv/motet"
    """Where the image holds what experts.yaml names by relative paths."""
    secret: str | None = None
    """Secret whose entries become environment variables, for `${ENV}` in experts.yaml."""
    cache_claim: str | None = None
    """PersistentVolumeClaim for weights; without one each pod fetches its own."""
    open_to_all: bool = False
    """Whether whoever reaches the service in the cluster may ask without a key."""
    head: Pod = Pod()
    """The pod of Ray's head, which holds no expert."""
    workers: list[Workers] = Field(min_length=1)
    """Pods that hold experts."""
    upgrade: Upgrade | None = None
    """How a changed config is rolled out."""

    @property
    def devices(self) -> list[str]:
        """The planned devices of all groups."""
        return [device for group in self.workers for device in group.devices]

    @model_validator(mode="after")
    def _one_pod_each(self) -> Values:
        twice = [device for device, count in Counter(self.devices).items() if count > 1]
        if twice:
            raise ValueError(f"device {twice[0]} is named more than once")
        return self


def of(document: Document, values: Values) -> dict[str, Any]:
    """Return the RayService of `document` as plain values.

    Raises
    ------
    ConfigError
        The workers have devices, but not one that an expert is planned on.
    """
    _check_devices(document, values.devices)
    document = document.with_service(host=_EVERYWHERE, open_to_all=values.open_to_all or None)
    content = serve_config.of(document.with_folder(Path(values.folder)))
    port = document.config.service.port
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": values.name},
        "spec": {
            "upgradeStrategy": _upgrade(values.upgrade),
            "serveConfigV2": serve_config.text(content),
            "rayClusterConfig": {
                "rayVersion": version("ray"),
                # KubeRay makes the token and gives it to every pod (from its version 1.5.1).
                "authOptions": {"mode": "token"},
                # Steps need it, and so do groups of pods that grow.
                "enableInTreeAutoscaling": True,
                "headGroupSpec": {
                    "rayStartParams": {"num-cpus": "0", "dashboard-host": _EVERYWHERE},
                    "template": _pod(values, values.head, "ray-head", port),
                },
                "workerGroupSpecs": [
                    _group(values, group, device, port)
                    for group in values.workers
                    for device in group.devices or (None,)
                ],
            },
        },
    }


def _check_devices(document: Document, devices: list[str]) -> None:
    problems = []
    places = (
        (section, number, entry.resources.device)
        for section, entries in document.config.members.items()
        for number, entry in enumerate(entries)
    )
    for section, number, planned in places:
        if devices and planned is not None and planned not in devices:
            at = (section, number, "resources", "device")
            reason = f"no workers have the device {planned}; they have {', '.join(devices)}."
            problems.append(document.problem(at, reason))
    if problems:
        raise ConfigError(problems, hint="Add it to `devices` of a group in the values file.")


def _group(values: Values, group: Workers, device: str | None, port: int) -> dict[str, Any]:
    # KubeRay pastes this into a shell's command, so it is quoted once more.
    owned = json.dumps(json.dumps({device_resource(device): 1})) if device else None
    return {
        "groupName": group.name if device is None else f"{group.name}-{device}",
        "replicas": max(group.least, 1),
        "minReplicas": group.least,
        "maxReplicas": group.most,
        "rayStartParams": {"resources": owned} if owned else {},
        "template": _pod(values, group, "ray-worker", port),
    }


def _upgrade(upgrade: Upgrade | None) -> dict[str, Any]:
    if upgrade is None:
        return {"type": "NewCluster"}
    return {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {
            "gatewayClassName": upgrade.gateway_class,
            "stepSizePercent": upgrade.step_percent,
            "intervalSeconds": upgrade.interval_s,
            "maxSurgePercent": upgrade.surge_percent,
        },
    }


def _pod(values: Values, node: Pod, container: str, port: int) -> dict[str, Any]:
    gpus = node.gpus if isinstance(node, Workers) else 0
    image = node.image if isinstance(node, Workers) else None
    amounts: dict[str, Any] = {"cpu": f"{node.cpu:g}", "memory": f"{node.memory // 2**20}Mi"}
    if gpus:
        amounts["nvidia.com/gpu"] = str(gpus)
    env = cluster.NODE_SETTINGS | {
        "MOTET_CACHE": _CACHE,
        "MOTET_STATE": f"{_CACHE}/state",  # what is kept outlives a pod where weights do
        "PROMETHEUS_MULTIPROC_DIR": _METRICS,
    }
    if values.devices:
        env[DEVICES] = ",".join(values.devices)
    cache = (
        {"persistentVolumeClaim": {"claimName": values.cache_claim}}
        if values.cache_claim
        else {"emptyDir": {}}
    )
    main: dict[str, Any] = {
        "name": container,
        "image": image or values.image,
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": [
            {"name": "cache", "mountPath": _CACHE},
            {"name": "metrics", "mountPath": _METRICS},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108  # Ray's object store
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
    }
    if values.secret:
        main["envFrom"] = [{"secretRef": {"name": values.secret}}]
    if container == "ray-head":
        main["ports"] = [
            {"containerPort": 6379, "name": "gcs-server"},
            {"containerPort": 8265, "name": "dashboard"},
            {"containerPort": 10001, "name": "client"},
            {"containerPort": port, "name": "serve"},
        ]
    spec: dict[str, Any] = {
        "containers": [main],
        "volumes": [
            {"name": "cache", **cache},
            {"name": "metrics", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
        "securityContext": {"fsGroup": 1000},
    }
    if isinstance(node, Workers) and node.node_selector:
        spec["nodeSelector"] = node.node_selector
    return {"spec": spec}
