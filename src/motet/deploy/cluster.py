"""Ray itself: started here for this machine, or joined where it runs."""

from __future__ import annotations

import atexit
import io
import logging
import math
import os
import random
import shutil
import socket
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from motet.config import Document
from motet.deploy.loopback import write_haproxy
from motet.deploy.names import INGRESS, device_resource
from motet.errors import ConfigError, DeployError

NODE_SETTINGS = {
    # A hop through Serve costs a third with these, and throughput is five times as high
    # (benchmarks/overhead.py measures the whole way).
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # Nothing is reported to anybody, and logs stay in Ray's session folder.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's own ports listen on every interface: only who has this user's token gets in.
    "RAY_AUTH_MODE": "token",
}
"""What every node of a Ray that serves Motet has in its environment before it starts."""
_HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}
_PORTS = 100
# Serve and HAProxy share ports they find taken (SO_REUSEPORT), so with Ray's fixed defaults two
# services on one machine would answer each other's clients: also through the fallback, which
# HAProxy asks as long as it knows of no replica.
_PORT_SETTINGS = {
    "RAY_SERVE_HAPROXY_STATS_PORT": 0,
    "RAY_SERVE_HAPROXY_METRICS_PORT": 1,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 2,
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": 3,
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": 4,
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": 49,
    "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": 50,
    "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": 99,
}
_VLLM_CPUS = 2.0
_POOL_CPUS = 1.0


def prepare_environment() -> None:
    """Set what a Ray that is started here, for this machine alone, reads; before Ray is imported.

    A Ray that is joined has the environment its nodes were started with.
    """
    for name, value in NODE_SETTINGS.items():
        os.environ.setdefault(name, value)
    # Nobody balances load over this machine, so nobody needs time to notice that it stops.
    os.environ.setdefault("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", "0.5")
    # Files of two services of one machine must not meet. Not under $TMPDIR, which may be long:
    # a socket's path has 107 bytes at most, and HAProxy's holds a node id of 56.
    place = Path(tempfile.mkdtemp(prefix="motet-", dir="/tmp"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "metrics").mkdir()
    (place / "haproxy").mkdir()
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(place / "metrics"))
    for name, file in _HAPROXY_FILES.items():
        os.environ.setdefault(name, str(place / "haproxy" / file))
    if (haproxy := write_haproxy(place)) is not None:
        os.environ.setdefault("RAY_SERVE_HAPROXY_BINARY_PATH", str(haproxy))
    # Ray means another system by it; here too it lets Ray's processes talk over loopback alone.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    first = _free_ports(_PORTS)
    for name, offset in _PORT_SETTINGS.items():
        os.environ.setdefault(name, str(first + offset))


def exports() -> list[str]:
    """Return the lines of a shell that prepare a node for `ray start`."""
    lines = [f"export {name}={value}" for name, value in NODE_SETTINGS.items()]
    # Replicas of one node add up what they count in a folder of their own (`motet.operations`).
    return [*lines, 'export PROMETHEUS_MULTIPROC_DIR="$(mktemp -d)"']


def check(document: Document) -> None:
    """Refuse what pools cannot do.

    Raises
    ------
    ConfigError
        With `residency`, a pool has more or less than one replica, or more than one GPU.
    """
    if document.config.residency is None:
        return
    problems = []
    for number, entry in enumerate(document.config.experts):
        replicas, gpus = entry.resources.replicas, entry.resources.gpus
        at = ("experts", number, "resources")
        if (replicas.min, replicas.max) != (1, 1):
            reason = "with residency a pool has one replica, whose engine comes and goes."
            problems.append(document.problem((*at, "replicas"), reason))
        if gpus > 1:
            reason = f"with residency an expert lives on one GPU, not on {gpus:g}."
            problems.append(document.problem((*at, "gpus"), reason))
    if problems:
        raise ConfigError(
            problems, hint="Leave the section `residency` out, or change the experts."
        )


def start(document: Document, address: str | None = None, *, with_serve: bool = True) -> None:
    """Start a local Ray, or join the one at `address`, and start Serve on it.

    Raises
    ------
    DeployError
        There is no Ray at `address`, or Serve does not start.
    """
    import ray
    from ray import serve
    from ray.exceptions import RayError

    service = document.config.service
    try:
        if address is None:
            ray.init(
                address="local",
                _node_ip_address="127.0.0.1",
                runtime_env={"worker_process_setup_hook": "motet.deploy.loopback.listen_near"},
                num_cpus=_logical_cpus(document),
                resources=_planned_devices(document),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        else:
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        logging.getLogger("ray.serve").setLevel(logging.ERROR)  # the caller shows progress
        if with_serve:
            serve.start(http_options={"host": service.host, "port": service.port})
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        if address is None:
            raise DeployError(f"Cannot start Ray: {error}") from error
        raise DeployError(
            f"Cannot join Ray at {address}: {error}",
            hint="If it asks for a token, set RAY_AUTH_MODE=token.",
        ) from error


def _check_reachable(address: str) -> None:
    """Raise `ConnectionError` when nothing listens at `host:port`; Ray itself tries for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            raise ConnectionError(error.strerror or "nobody answers there") from error


def stop(address: str | None = None) -> None:
    """Take Motet's applications down and, unless Ray was joined, Ray with them.

    The ingress goes first, and the streams under way have as long as Serve gives it: they need
    the pools until they end.
    """
    import ray
    from ray import serve

    from motet.deploy import allowances

    if not ray.is_initialized():
        return
    # Ray writes to this terminal that its own controller did not survive its last call.
    with redirect_stdout(io.StringIO()):
        ours = [name for name in serve.status().applications if name.startswith(INGRESS)]
        for name in sorted(ours, key=lambda name: name != INGRESS):
            if address is not None or name == INGRESS:
                serve.delete(name)
        allowances.end()
        if address is None:
            serve.shutdown()
        ray.shutdown()


def disconnect() -> None:
    """Leave a cluster that was joined, and everything on it as it is."""
    import ray

    ray.shutdown()


def _logical_cpus(document: Document) -> int:
    """Return how many CPUs Ray must believe in so that every part is placed.

    Logical CPUs only count places; a machine with two cores runs more processes than that.
    """
    from motet.deploy.arguments import pools_of

    swappers = document.config.residency is not None
    wanted = 1 + 0.1 * (document.config.service.replicas + swappers)
    for _, entry in pools_of(document):
        each = _VLLM_CPUS if entry.engine == "vllm" else _POOL_CPUS
        wanted += each * entry.resources.replicas.max
    return max(os.cpu_count() or 1, math.ceil(wanted))


def _planned_devices(document: Document) -> dict[str, float]:
    """Return a resource for every planned device: this machine has them all."""
    devices = {entry.resources.device for entry in document.config.served}
    return {device_resource(device): 1.0 for device in devices if device is not None}


def _free_ports(count: int) -> int:
    """Return the first of `count` neighbouring ports, below the system's ephemeral range."""
    blocks = list(range(20_000, 32_000, count))
    random.shuffle(blocks)
    for first in blocks:
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise DeployError(f"No {count} neighbouring ports between 20000 and 32000 are free.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
