"""A fleet of fakes, what they are asked, and who they are."""

import json
from pathlib import Path

from motet.config import parse
from motet.experts import ENGINES
from motet.lab.tabulation import state_of
from motet.weights import Setting

FLEET = """
version: 1
experts:
  - {id: echo, engine: fake, price: {input: 1, output: 2}}
  - {id: seven, engine: fake, tokens: ["7"]}
  - {id: dead, engine: fake, fail_after: 0, error: unavailable}
"""
PROMPTS = [
    {"query": "say 7", "task": "sum", "grader": "numeric", "reference": 7, "id": "a"},
    {"query": "3 + 4", "task": "sum", "grader": "numeric", "reference": 7, "id": "b"},
    {"query": "hello", "task": "chat", "grader": "exact", "reference": "hello", "id": "c"},
]


def write(path: Path, lines: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def experts(*names: str, text: str = FLEET):
    document = parse(text)
    setting = Setting(Path(), Path())
    found = {}
    for entry in document.config.experts:
        if entry.id in names:
            engine = ENGINES.load(entry.engine)
            found[entry.id] = engine(entry, engine.Config.model_validate(entry.options), setting)
    states = {e.id: state_of(e, Path()) for e in document.config.experts if e.id in names}
    return found, states
