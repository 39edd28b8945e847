"""`motet`: the commands by name."""

from __future__ import annotations

import os
import sys

import typer

from motet.cli import (
    apply,
    batch,
    chat,
    check,
    decisions,
    deploy,
    encoder,
    experts,
    fitted,
    fuse,
    moderation,
    plan,
    profile,
    rank,
    replay,
    route,
    router,
    serve,
    simulate,
    table,
    usage,
)
from motet.cli.console import fail
from motet.cli.faults import TRACEBACK, in_words

app = typer.Typer(
    name="motet",
    help="Many expert language models behind one OpenAI-compatible endpoint.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("deploy")(deploy.deploy)
app.command("apply")(apply.apply)
app.command("rollback")(apply.rollback)
app.command("check")(check.check)
app.command("plan")(plan.plan)
app.command("simulate")(simulate.simulate)
app.command("chat")(chat.chat)
app.command("batch")(batch.batch)
app.command("route")(route.route)
app.add_typer(decisions.app, name="decisions", help="What was decided, for whom, and its end.")
app.command("replay")(replay.replay)
app.command("usage")(usage.usage)
app.add_typer(table.app, name="table", help="Routing tables from real runs.")
app.add_typer(router.app, name="router", help="Routers that learn from tables: train, judge.")
app.add_typer(encoder.app, name="encoder", help="Expert encoders of domains: fit.")
app.add_typer(moderation.app, name="moderation", help="Ensembles that judge texts: label, train.")
app.add_typer(fitted.vote, name="vote", help="Votes fitted on recorded answers: fit, judge.")
app.add_typer(fitted.cascade, name="cascade", help="Cascades fitted on recorded answers.")
app.add_typer(rank.app, name="rank", help="Rankers of texts, fitted on recorded answers.")
app.add_typer(profile.app, name="profile", help="What each expert is good at, by skill.")
app.add_typer(fuse.app, name="fuse", help="Experts fused in latent space: train, judge.")
app.add_typer(experts.app, name="experts", help="Experts of a config or of a running service.")


def _version(wanted: bool) -> None:
    if wanted:
        import motet

        typer.echo(motet.__version__)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Many expert language models behind one OpenAI-compatible endpoint."""
    if os.environ.get("NO_COLOR"):
        context.color = False


def main() -> None:
    """Run the command line; nothing that fails prints a traceback, unless one is asked for."""
    try:
        app()
    except Exception as error:  # the edge: what comes this far has no words of its own
        if os.environ.get(TRACEBACK):
            raise
        fail(in_words(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
