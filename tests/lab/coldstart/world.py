"""A service of fakes that each know one answer, a table of what they said, and who learned it."""

import json

from motet.composer.assembly import assemble
from motet.config import load
from motet.lab.routers.data import Data
from motet.lab.routers.training import train
from motet.lab.tabulation import read_prompts, tabulate
from motet.routers.skill.annotations import annotate_by_lexicon
from motet.routers.skill.build import BuildOptions, build
from motet.tables import read

CONFIG = """\
version: 1
experts:
  - {{id: seven, engine: fake, tokens: ["7"], description: adds numbers}}
  - {{id: dull, engine: fake, tokens: ["hm"], description: greets nobody}}   # the base
{more}routers:
  # Who knows what.
  learned: {{kind: {kind}, artifact: auto, {table}fallback: dull}}
  skills: {{kind: skill, profile: skills.json, {table}trim: 0, fallback: dull}}
  front: {{kind: chain, of: [learned]}}
compositions:
  auto: {{router: front}}
  council: {{router: skills}}
"""
GREETER = (
    '  - {id: greeter, engine: fake, tokens: ["hello"], price: {input: 1, output: 1}, '
    "description: greets friends}\n"
)
PLACES = ("market", "harbour", "garden", "library", "station", "kitchen", "workshop", "stadium")


def config(more="", *, kind="words", table="table: t.parquet, "):
    return CONFIG.format(more=more, kind=kind, table=table)


def lines():
    for number in range(24):
        place = PLACES[number % 8]
        asked = f"add the numbers {number} and {7 - number} in the {place}"
        yield {"query": asked, "task": "sum", "grader": "numeric", "reference": 7}
        asked = f"greet a friend politely at the {place}, day {number}"
        yield {"query": asked, "task": "greeting", "grader": "exact", "reference": "hello"}


async def world(folder, more="", *, kind="words", **about):
    """Write a config with an artifact and a profile that know `seven` and `dull`."""
    path = folder / "experts.yaml"
    path.write_text("version: 1\n" + config().split("version: 1\n")[1].split("routers:")[0])
    (folder / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines()))
    document = load(path)
    experts = assemble(document).experts
    await tabulate(document, read_prompts(folder / "p.jsonl"), experts, folder / "t.parquet")
    table = read(folder / "t.parquet")
    train(Data(table=table), kind)[0].save(folder / "auto")
    record, annotations = annotate_by_lexicon(table.queries)
    words = [annotation.keywords for annotation in annotations]
    build(table, words, record, options=BuildOptions()).save(folder / "skills.json")
    path.write_text(config(more, kind=kind, **about))
    return path
