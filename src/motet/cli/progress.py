"""What `motet serve` shows while it starts: steps with times, weights with bars, then the fleet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from motet.config import Document, ExpertEntry
from motet.weights import Setting, default_cache, fetch

_STYLES = {"ready": "green", "asleep": "cyan", "starting": "yellow", "failed": "red", "down": "red"}


class StartStep:
    """A step under way; one with a `failure` is shown as failed, and the start goes on."""

    failure = ""


class Screen:
    """The terminal of one `motet serve`.

    Parameters
    ----------
    began
        `time.monotonic()` when the command began, for the times shown.
    """

    def __init__(self, document: Document, began: float) -> None:
        self._document = document
        self._began = began
        self._console = Console(highlight=False)
        self._shown = False

    @contextmanager
    def step(self, title: str) -> Iterator[StartStep]:
        """Show `title` with a spinner, then with its time."""
        step, began = StartStep(), time.monotonic()
        with self._console.status(f"{title} ..."):
            yield step
        seconds = f"{time.monotonic() - began:.1f} s"
        if step.failure:
            self.failed(title, f"after {seconds}: {step.failure}")
        else:
            self._console.print(f"[green]✓[/green] {title} [dim]{seconds}[/dim]")

    def failed(self, title: str, reason: str) -> None:
        """Show that a step failed."""
        self._console.print(f"[red]✗[/red] {title} failed: {escape(reason)}", soft_wrap=True)

    def fetch(self, entry: ExpertEntry) -> None:
        """Fetch an expert's weights with a progress bar; silent when they are there."""
        model = entry.options.get("model")
        if not model:
            return
        columns = (TextColumn("  {task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as bars:
            task = bars.add_task(f"{entry.id}: weights", total=None)

            def report(stage: str, done: float, total: float) -> None:
                description = f"{entry.id}: {stage}"
                bars.update(task, description=description, completed=done, total=total or None)

            fetch(model, Setting(self._document.folder, default_cache()), report)

    def ready(self, states: Mapping[str, str]) -> None:
        """Show expert states; the first time with the compositions and how to ask."""
        config, service = self._document.config, self._document.config.service
        if self._shown:
            up = sum(state in ("ready", "asleep") for state in states.values())
            self._console.print(f"  {up} of {len(states)} experts answer now.")
            return
        self._shown = True
        url = f"http://{service.host}:{service.port}"
        seconds = time.monotonic() - self._began
        self._console.print(f"\n[bold]Motet answers at {url}[/bold] after {seconds:.0f} s\n")
        experts = Table("expert", "engine", "state", "license", box=None, header_style="dim")
        for entry in config.experts:
            state = states.get(entry.id, "starting")
            shown = f"[{_STYLES[state]}]{state}[/]"
            experts.add_row(entry.id, entry.engine, shown, entry.license)
        self._console.print(experts)
        if config.compositions:
            compositions = Table("composition", "router", "strategy", box=None, header_style="dim")
            for name, composition in config.compositions.items():
                compositions.add_row(name, composition.router, composition.strategy.kind)
            self._console.print()
            self._console.print(compositions)
        self._console.print(f"\n{self._curl(url)}\n", soft_wrap=True, markup=False)

    def note(self, text: str) -> None:
        """Show one line."""
        self._console.print(f"[dim]{text}[/dim]")

    def _curl(self, url: str) -> str:
        config = self._document.config
        model = next(iter(config.compositions), config.experts[0].id)
        key = "-H 'authorization: Bearer YOUR_KEY' " if config.service.api_keys else ""
        body = (
            f'{{"model": "{model}", "messages": [{{"role": "user", '
            '"content": "Name the capital of France in one sentence."}]}'
        )
        return (
            f"curl {url}/v1/chat/completions {key}-H 'content-type: application/json' -d '{body}'"
        )
