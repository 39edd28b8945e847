"""Ray itself: started here for this machine, or joined where it runs."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

from motet.config import Document
from motet.deploy.names import INGRESS
from motet.errors import DeployError

_SETTINGS = {
    # A hop through Serve costs a third with these, and throughput is five times as high
    # (benchmarks/overhead.py measures the whole way).
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # Nothing is reported to anybody, and logs stay in Ray's session folder.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_VLLM_CPUS = 2.0
_POOL_CPUS = 1.0


def prepare_environment() -> Path:
    """Set what Ray reads from the environment; call before Ray is imported or started.

    Returns the folder in which ingress replicas of this machine share their metrics.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="motet-metrics-")
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def start(document: Document, address: str | None = None) -> None:
    """Start a local Ray, or join the one at `address`, and start Serve on it.

    Raises
    ------
    DeployError
        There is no Ray at `address`, or Serve does not start.
    """
    import ray
    from ray import serve

    service = document.config.service
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=_logical_cpus(document),
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        serve.start(http_options={"host": service.host, "port": service.port})
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"join Ray at {address}" if address else "start Ray"
        raise DeployError(f"Cannot {where}: {error}") from error


def stop(address: str | None = None) -> None:
    """Take Motet's applications down and, unless Ray was joined, Ray with them."""
    import ray
    from ray import serve

    if not ray.is_initialized():
        return
    if address is None:
        serve.shutdown()
    else:
        for name in serve.status().applications:
            if name.startswith(INGRESS):
                serve.delete(name)
    ray.shutdown()


def disconnect() -> None:
    """Leave a cluster that was joined, and everything on it as it is."""
    import ray

    ray.shutdown()


def _logical_cpus(document: Document) -> int:
    """Return how many CPUs Ray must believe in so that every part is placed.

    Logical CPUs only count places; a machine with two cores runs more processes than that.
    """
    from motet.deploy.graph import pools_of

    wanted = 1 + 0.1 * document.config.service.replicas
    for _, entry in pools_of(document):
        each = _VLLM_CPUS if entry.engine == "vllm" else _POOL_CPUS
        wanted += each * entry.resources.replicas.max
    return max(os.cpu_count() or 1, math.ceil(wanted))
