"""The Serve graph of a config: one application for the ingress, one for each pool.

The two builders here are what `motet serve` runs and what a Serve config names as import paths.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.deployment import Application

from motet.composer.assembly import Build, assemble
from motet.config import Document, ExpertEntry, Options, parse
from motet.deploy import room
from motet.deploy.allowances import SharedAllowances
from motet.deploy.applications import Applications
from motet.deploy.arguments import GraphArgs, pools_of
from motet.deploy.ending import SHUTDOWN_S, end_in_words
from motet.deploy.names import INGRESS, SWAPPER, pool_of
from motet.deploy.pools.client import PoolExpert
from motet.deploy.residency.client import ClusterLeases
from motet.deploy.shelf import Shelf
from motet.errors import UnknownModel
from motet.experts import Expert
from motet.experts.build import build, engine_of
from motet.operations import logs
from motet.operations.admission import Admissions
from motet.residency.expert import LeasedExpert
from motet.service.memory import keep_collections_short
from motet.service.motet import Motet
from motet.weights import Setting, default_cache

_LOOK_S = 1.0
"""Seconds between two looks whether a pool that starts has room."""
_PATIENCE_S = 5.0
"""Seconds for which others may still leave what it needs."""


def ingress(args: GraphArgs) -> Application:
    """Return the application that answers HTTP."""
    service = _document(args).config.service

    def build() -> Any:  # Serve calls it inside each replica, and takes plain functions only
        return _ingress_app(args)

    deployment = serve.deployment(
        serve.ingress(build)(),
        name=INGRESS,
        num_replicas=service.replicas,
        max_ongoing_requests=service.ongoing_requests,
        max_queued_requests=service.queued_requests,
        health_check_period_s=10.0,
        health_check_timeout_s=60.0,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
        logging_config={"enable_access_log": False},  # a line a request; /metrics counts them
        # Routers and strategies mostly wait: a fraction leaves the CPUs to the pools.
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment.bind()


def pool(args: GraphArgs) -> Application:
    """Return the application of the pool of `args["expert"]`.

    Raises
    ------
    UnknownModel
        That expert has no pool of its own.
    """
    document = _document(args)
    setting = Setting(folder=document.folder, cache=default_cache())
    pools = dict(pools_of(document))
    if args["expert"] not in pools:
        raise UnknownModel(args["expert"], pools)
    entry = pools[args["expert"]]
    if engine_of(entry).home == "vllm":
        from motet.deploy.pools.vllm import vllm_pool  # takes many seconds

        return vllm_pool(entry, setting, swapped=args.get("swapped", False))
    from motet.deploy.pools.in_process import in_process_pool

    return in_process_pool(entry, setting, swapped=args.get("swapped", False))


def swapper(args: GraphArgs) -> Application:
    """Return the application that decides whose engines are loaded."""
    from motet.deploy.residency import server

    return server.swapper(_document(args))


def run_ingress(args: GraphArgs) -> None:
    """Run the ingress on the connected Ray and wait until it answers."""
    serve.run(ingress(args), name=INGRESS, route_prefix="/")


def run_swapper(args: GraphArgs) -> None:
    """Run the swapper on the connected Ray; the pools that it looks for may come later."""
    serve.run(swapper(args), name=SWAPPER, route_prefix=None)


def run_pool(args: GraphArgs) -> str | None:
    """Run a pool on the connected Ray and wait for it.

    Returns None once it is up, or the reason why it is not; the other applications go on. One that
    no node has room for starts by itself when there is some. A worker process of its own builds
    the pool, and ends: importing vLLM takes seconds and hundreds of megabytes, which the caller
    need not spend.
    """
    built = ray.remote(num_cpus=0, max_calls=1)(_run_pool).remote(args)
    short_since = math.inf
    while not ray.wait([built], timeout=_LOOK_S)[0]:
        shortage = room.shortages().get(pool_of(args["expert"]))
        short_since = min(short_since, time.monotonic()) if shortage else math.inf
        if shortage and time.monotonic() - short_since > _PATIENCE_S:
            ray.cancel(built)  # no more than the wait for it: Serve has the pool
            return shortage
    try:
        ray.get(built)
    except RayError as error:
        return str(error).strip().splitlines()[-1]
    return None


def _run_pool(args: GraphArgs) -> None:
    serve.run(pool(args), name=pool_of(args["expert"]), route_prefix=None)


def _ingress_app(args: GraphArgs) -> Any:
    """Build the ASGI app inside an ingress replica."""
    from motet.api import create_app
    from motet.deploy.register import ClusterRegister

    applications, shelf, place = Applications(), Shelf(args["config"]), _place(args)
    applied = shelf.read()
    document = _document(args if applied is None else {**args, "config": applied.text})
    logs.begin(document.config.telemetry)
    motet = Motet(
        assemble(document, builder(document, applications)),
        make=partial(builder, applications=applications),
    )
    number = 0 if applied is None else applied.number
    register = ClusterRegister(motet, shelf, place, number)
    register.begin()
    app = create_app(
        motet,
        beside=[keep_collections_short, lambda _: register.follow()],
        register=register,
        admissions=_admissions(document),
        admin_hash=args.get("admin_hash"),
    )
    end_in_words(app, applications)
    return app


def _admissions(document: Document) -> Admissions:
    """Return what lets requests through: one count for all replicas, where there are several."""
    replicas = document.config.service.replicas
    return Admissions(SharedAllowances() if replicas > 1 else None, replicas=replicas)


def builder(document: Document, applications: Applications | None = None) -> Build:
    """Return what makes the ingress's experts: the engine itself, or a caller of its pool.

    Parameters
    ----------
    applications
        Where the pools are; Serve's own when absent.
    """
    seen = applications or Applications()
    entries = {entry.id: entry for entry in document.config.experts}
    settings = document.config.residency
    leases = None if settings is None else ClusterLeases(seen, settings.max_wait_s)

    def make(entry: ExpertEntry, options: Options, setting: Setting) -> Expert:
        expert = build(entry, setting, options)
        if expert.home == "ingress":
            return expert
        if leases is not None:
            return LeasedExpert(PoolExpert(expert, seen), leases)
        host = entries.get(entry.host, entry)
        return PoolExpert(expert, seen, sleeps=host.resources.replicas.min == 0)

    return make


def _document(args: GraphArgs) -> Document:
    document = parse(args["config"], name=args["name"], folder=Path(args["folder"]))
    if "path" in args:
        document.path = Path(args["path"])
    return document.with_service(**_place(args))


def _place(args: GraphArgs) -> dict[str, Any]:
    """Return the fields of `service` that hold whatever the file says."""
    return {"host": args.get("host"), "open_to_all": args.get("open_to_all")}
