"""LoRA on one member, on the same examples as a fusion: its control, and a way to make peers.

A fusion that gains without its peers' help would be an adapter and no more, so it is judged beside
an adapter of as many parameters, trained on as many batches of the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import cross_entropy

from motet.config import Options
from motet.files import replacing_folder
from motet.fusion.batches import drawn, padded, rate
from motet.fusion.card import MemberCard
from motet.fusion.data import Example
from motet.fusion.members import FusionMember, load_member
from motet.progress import Progress, silent
from motet.weights import Setting

_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_WARMUP = 20


class LoraOptions(Options):
    """How an adapter is trained."""

    steps: PositiveInt = 400
    """Updates of the weights."""
    batch: PositiveInt = 16
    """Questions a step."""
    rank: PositiveInt | None = None
    """Rank; or instead of it:"""
    parameters: PositiveInt | None = None
    """As many parameters as a rank comes nearest to."""
    lr: PositiveFloat = 1e-3
    """Highest learning rate; it falls to 0 as a cosine."""
    seed: int = 0
    """Of every random choice."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the member."""
    device: str = "auto"
    """Torch device; `auto` takes a GPU where there is one."""


def adapt(
    card: MemberCard,
    examples: Sequence[Example],
    out: Path,
    options: LoraOptions,
    setting: Setting,
    report: Progress = silent,
    *,
    stage: str = "adapter",
) -> int:
    """Train an adapter on a member, its own adapter merged.

    It is written to the folder `out` as peft does, whole or not at all.

    Returns
    -------
    int
        How many parameters it has.

    Raises
    ------
    SourceError
        The weights cannot be had.
    """
    from peft import get_peft_model

    torch.manual_seed(options.seed)
    member = load_member(card, setting, levels=1, dtype=options.dtype, device=options.device)
    config = _config(member.model, options)
    adapted = get_peft_model(member.model, config, autocast_adapter_dtype=False)
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=0.0)
    for step in range(options.steps):
        optimizer.param_groups[0]["lr"] = options.lr * rate(step, options.steps, _WARMUP)
        loss = _loss(member, drawn(examples, options.batch, step, options.seed))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        report(f"{stage}, loss {float(loss.detach()):.3f}", step + 1, options.steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(out) as folder:
        adapted.save_pretrained(folder)
        _name_base(folder, card.model)
    return sum(p.numel() for p in trained)


def _loss(member: FusionMember, examples: Sequence[Example]) -> Tensor:
    """Return the mean cross-entropy of the answers' tokens."""
    rows = [
        (list(member.encode(e.request).tokens), member.encode_answer(e.request, e.answer))
        for e in examples
    ]
    tokens_BT, real_BT = padded([p + a[:-1] for p, a in rows], member.device)
    hidden_BTF = member.decoder(
        input_ids=tokens_BT, attention_mask=real_BT.long(), use_cache=False
    ).last_hidden_state
    answers = [
        hidden_BTF[b, len(prompt) - 1 : len(prompt) + len(answer) - 1]
        for b, (prompt, answer) in enumerate(rows)
    ]
    wanted = torch.tensor([t for _, a in rows for t in a], device=member.device)
    return cross_entropy(member.logits(torch.cat(answers)), wanted)


def _config(model: Any, options: LoraOptions) -> Any:
    from peft import LoraConfig

    sizes = [
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in _TARGETS
    ]
    rank = options.rank or max(1, round((options.parameters or 0) / sum(sizes)))
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=list(_TARGETS), task_type="CAUSAL_LM"
    )


def _name_base(folder: Path, model: str) -> None:
    """Name the base as a config does: the path it was loaded from is another machine's cache."""
    path = folder / "adapter_config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = model
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # peft's names this machine's cache
