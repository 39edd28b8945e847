"""`motet deploy`: a Serve config, written or applied to a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from motet.cli.console import ConfigPath, command, setup_logs
from motet.errors import ConfigError


@command
def deploy(
    config: ConfigPath = "experts.yaml",
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write the Serve config here; - prints it.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Apply it to the Ray at this address, or 'auto'.")
    ] = None,
    values: Annotated[
        Path | None,
        typer.Option(help="Write a RayService for KubeRay, on the cluster that this file says."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="Plan for devices such as 2xh100: see `motet plan`; pools get its shares."
        ),
    ] = None,
    host_memory: Annotated[
        str, typer.Option(help="Memory of the host for experts that sleep (with --plan).")
    ] = "0GiB",
    traffic: Annotated[
        str | None, typer.Option(help="Weights such as sql=3,units=1 (with --plan).")
    ] = None,
    env: Annotated[
        bool, typer.Option("--env", help="Print what a node needs before `ray start`, for a shell.")
    ] = False,
) -> None:
    """Write a Ray Serve config for a cluster, or apply it to a running one."""
    from motet.cli.plan import plan_of
    from motet.composer.assembly import assemble
    from motet.config import load, load_as
    from motet.deploy import cluster
    from motet.deploy.manifests import kuberay, serve_config
    from motet.planner import apply

    setup_logs(verbose=False)
    if env:
        typer.echo("\n".join(cluster.exports()))
        return
    document = load(config)
    assemble(document)
    if values is not None and address is not None:
        raise ConfigError("--values writes a file for Kubernetes; --address applies to a Ray.")
    if plan is not None:
        document = apply(document, plan_of(document, plan, host_memory, traffic))
    cluster.check(document)
    if values is None:
        content, then = serve_config.of(document), "serve deploy"
    else:
        nodes = load_as(values, kuberay.Values, "a values file, such as deploy/values.yaml")
        content, then = kuberay.of(document, nodes), "kubectl apply -f"
    if address is not None:
        serve_config.apply(content, document, address)
        typer.echo(f"Applied {len(content['applications'])} applications to Ray at {address}.")
        typer.echo("They start now; /ready of the service says how each stands, and why one waits.")
    elif output in (None, "-"):
        typer.echo(serve_config.text(content), nl=False)
    else:
        path = serve_config.write(content, str(output))
        typer.echo(f"Wrote {path}. Apply it with: {then} {path}")
