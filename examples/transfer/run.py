"""Knowledge that only a peer has, answered through its latents: `python examples/transfer/run.py`.

A LoRA adapter teaches Gemma 3 270M facts about invented towns. SmolLM2 has never seen them. Their
fusion is trained on the questions about some of the towns and asked about others, in a wording it
has not met. Everything goes to `work/`, and what is there is not made again. Ten to forty minutes
on two cores. Needs `pip install 'motet[cpu,train]'`.
"""

from __future__ import annotations

import os

# Before torch loads: threads that spin while they wait starve everything else on few cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from facts import Fact, facts, lines

HERE = Path(__file__).parent
WORK = HERE / "work"
CONFIG = HERE / "experts.yaml"
LEARNT = slice(0, 3)
"""Wordings that the fusion is trained on."""
UNSEEN = slice(3, 4)
"""The wording that it is asked in."""


def main() -> None:
    """Make what is missing, evaluate, and write `work/results.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--towns", type=int, default=36, help="of each kind, to train on")
    parser.add_argument("--peer-steps", type=int, default=180)
    parser.add_argument("--steps", type=int, default=60, help="of the fusion and its control")
    parser.add_argument("--mode", choices=("A", "B"), default="A")
    parser.add_argument("--no-bridge", action="store_true", help="a control: nothing is tied")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="who is asked")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    began = time.monotonic()
    known = facts(args.towns, args.seed, "closed") + facts(args.towns, args.seed, "open")
    write(WORK / "all.jsonl", known, slice(None))
    write(WORK / "train.jsonl", [f for f in known if f.split == "train"], LEARNT)
    write(WORK / "dev.jsonl", [f for f in known if f.split == "dev"], slice(None))
    write(WORK / "test.jsonl", [f for f in known if f.split == "test"], UNSEEN)
    if not (WORK / "chronicler" / "adapter_config.json").exists():
        teach(args.peer_steps, args.seed)
    name = "fusion" if args.mode == "A" else "fusion-b"
    name += "-plain" if args.no_bridge else ""
    fuse(WORK / name, args)
    command = ["eval", str(WORK / name), "--config", str(CONFIG), "--max-tokens", "8"]
    said = motet("fuse", *command, "--data", str(WORK / f"{args.split}.jsonl"), "--json")
    results = json.loads(said) | {"minutes": (time.monotonic() - began) / 60}
    results |= {"steps": args.steps, "mode": args.mode, "bridge": not args.no_bridge}
    file = name.replace("fusion", "results") + ("-dev" if args.split == "dev" else "")
    (WORK / f"{file}.json").write_text(json.dumps(results, indent=1) + "\n")
    show(results)


def fuse(out: Path, args: argparse.Namespace) -> None:
    """Train a fusion of the two and its control, as far as that is not done."""
    command = ["train", str(CONFIG), "--experts", "smollm,chronicler", "--primaries", "smollm"]
    command += ["--data", str(WORK / "train.jsonl"), "--out", str(out)]
    if args.split == "test" and args.mode == "A" and not args.no_bridge:
        command += ["--lora"]  # the control is the same for all of them
    command += ["--steps", str(args.steps), "--seed", str(args.seed), "--mode", args.mode]
    command += ["--draft-tokens", "4", *(["--no-bridge"] if args.no_bridge else [])]
    motet("fuse", *command)


def write(path: Path, known: list[Fact], wordings: slice) -> None:
    """Write facts as lines of a file of examples."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(known, wordings)))


def teach(steps: int, seed: int) -> None:
    """Teach the peer every fact in every wording, with an adapter."""
    from motet.cli.bars import progress_bars
    from motet.config import load
    from motet.fusion.card import MemberCard
    from motet.fusion.data import read_examples
    from motet.fusion.lora import LoraOptions, adapt
    from motet.weights import Setting, default_cache

    entry = next(e for e in load(CONFIG).config.experts if e.id == "chronicler")
    member = MemberCard(id=entry.id, model=entry.options["model"])
    examples = read_examples(WORK / "all.jsonl", [])
    options = LoraOptions(steps=steps, rank=16, lr=2e-3, seed=seed)
    setting = Setting(HERE, default_cache())
    with progress_bars() as report:
        adapt(member, examples, WORK / "chronicler", options, setting, report, stage="the peer")


def motet(*arguments: str) -> str:
    """Run a command of Motet's, its progress on this terminal; return what it prints."""
    command = [sys.executable, "-m", "motet.cli.main", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def show(results: dict[str, object]) -> None:
    """Print accuracies and differences."""
    print(json.dumps({k: v for k, v in results.items() if k != "answers"}, indent=1))


if __name__ == "__main__":
    main()
