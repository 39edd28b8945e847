"""What every command shares: where it writes, how it fails, how it runs a coroutine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from motet.errors import MotetError

if TYPE_CHECKING:
    from rich.table import Table

P = ParamSpec("P")
T = TypeVar("T")

ConfigPath = Annotated[str, typer.Argument(help="The config file.", metavar="CONFIG")]
ConfigOption = Annotated[str, typer.Option("--config", help="The config file.")]
ServiceUrl = Annotated[
    str | None, typer.Option("--url", help="Ask a running service, such as http://127.0.0.1:8000.")
]
Key = Annotated[
    str | None, typer.Option("--key", envvar="MOTET_API_KEY", help="The service's API key.")
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON.")]


def command(function: Callable[P, T]) -> Callable[P, T]:
    """Turn Motet's errors into a message on standard error and exit status 1."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except MotetError as error:
            fail(error)
            raise typer.Exit(1) from None

    return run


def fail(error: MotetError) -> None:
    """Print `error` to standard error."""
    typer.secho("error: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
    typer.echo(plain(str(error)), err=True)


def plain(value: Any) -> Any:
    """Return others' words without what would command the terminal that shows them.

    `value` is a text, or values of JSON with texts in them.
    """
    if isinstance(value, str):
        return value.translate(_COMMANDS)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    return value


_COMMANDS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def new_table(*titles: str, **options: Any) -> Table:
    """Return a table as all of Motet's look; `options` are those of rich's."""
    from rich.table import Table

    return Table(*titles, box=None, header_style="bold", pad_edge=False, **options)


def print_json(value: Any) -> None:
    """Print `value` as JSON on standard output."""
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def run(
    work: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run a coroutine to its end; Ctrl-C ends it quietly with status 130."""
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def setup_logs(verbose: bool) -> None:
    """Send logs to standard error: all of them when `verbose`, else errors."""
    import logging

    from motet.operations.logs import WORDS

    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(stream=sys.stderr, level=level, format=WORDS)
