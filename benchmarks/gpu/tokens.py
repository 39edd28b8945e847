"""Part f: engines and adapters give on the GPU what they give on the CPU, in fp32."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu.correctness import judged
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from tests.fusion.served import served
from tests.tiny import save_tiny

from motet.config import ExpertEntry, Setting
from motet.experts.base import Expert
from motet.experts.transformers import TransformersExpert, TransformersOptions
from motet.fusion.engine import LatentExpert, LatentOptions
from motet.kernels.multi_lora import add, add_reference, stack
from motet.types import Request

PROMPTS = ("a", "The quick brown fox", "naïve 🦊 café " * 3, "one two three four five")
TOKENS = 24


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Compare every path with the CPU's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("llama", "gemma3"):
            save_tiny(folder / kind, kind)
            recorder.attempt(
                f"transformers {kind}",
                lambda k=kind: _same([_transformers(folder, k, d) for d in ("cpu", scale.device)]),
            )
        world = served(folder / "fused")
        recorder.attempt(
            "fused", lambda: _same([_fused(world.setting, d) for d in ("cpu", scale.device)])
        )
    for dtype in dict.fromkeys((scale.dtype, "float32")):
        recorder.attempt(f"adapters {dtype}", lambda d=dtype: _adapters(scale, d, seed))


def _transformers(folder: Path, kind: str, device: str) -> Expert:
    return TransformersExpert(
        ExpertEntry(id="tiny", engine="transformers"),
        TransformersOptions(model=str(folder / kind), dtype="float32", device=device),
        Setting(folder, folder / "cache"),
    )


def _fused(setting: Setting, device: str) -> Expert:
    return LatentExpert(
        ExpertEntry(id="fusion", engine="latent"),
        LatentOptions(artifact=Path("art"), dtype="float32", device=device),
        setting,
    )


def _same(experts: list[Expert]) -> dict[str, Any]:
    """Compare the greedy answers of two experts, asked all at once."""
    cpu, gpu = (asyncio.run(_answers(expert)) for expert in experts)
    same = [a == b for a, b in zip(cpu, gpu, strict=True)]
    return {"ok": all(same) and all(cpu), "same": sum(same), "of": len(same)}


async def _answers(expert: Expert) -> list[str]:
    await expert.start()
    try:
        return await asyncio.gather(*(_answer(expert, prompt) for prompt in PROMPTS))
    finally:
        await expert.close()


async def _answer(expert: Expert, prompt: str) -> str:
    extra = {}
    if isinstance(expert, LatentExpert):
        extra = {"fusion": {"primary": "ann", "peers": ["bob", "cid"]}}
    request = Request(
        model="", prompt=prompt, temperature=0.0, max_tokens=TOKENS, stream=True, extra=extra
    )
    return "".join([chunk.text async for chunk in expert.stream(request)])


def _adapters(scale: Scale, dtype: str, seed: int) -> dict[str, Any]:
    """Compare many adapters in one batch with the reference in fp64."""
    generator = torch.Generator().manual_seed(seed)
    slots, rank, width, outputs, tokens = 3, 4, 96, (48, 32), 37
    numbers = getattr(torch, dtype)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(numbers)

    a = [normal(slots, rank, width) / width**0.5 for _ in outputs]
    b = [normal(slots, n, rank) for n in outputs]
    x, y = normal(tokens, width), normal(tokens, sum(outputs))
    slot = torch.randint(-1, slots, (tokens,), generator=generator)
    wanted = y.double()
    add_reference(
        wanted, x.double(), [m.double() for m in a], [m.double() for m in b], slot, outputs, 0.5
    )
    there = scale.device
    got = y.to(there)
    stacked = stack([m.to(there) for m in a], [m.to(there) for m in b])
    assert stacked is not None
    add(got, x.to(there), stacked, slot.to(there), outputs, 0.5)
    return judged(got, wanted, dtype, slack=8)
