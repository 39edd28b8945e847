"""Part e: a fused engine of two Llama-shaped members with random weights, against its primary.

Both decode the same prompts in turn, with continuous batching as it serves: a step of the primary
alone, then a step of the primary beside what its peer has read. Nothing depends on the weights, so
random ones tell times and memory as well as trained ones.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from tests.tiny import save_tiny

from motet.fusion.generate import FusedBatch, FusedJob
from motet.fusion.layers import FusionLayers
from motet.fusion.members import FusionMember
from motet.generation.decoding import Candidate, Sampling, Vocabulary
from motet.generation.rows import ContinuousBatch
from motet.types import Chunk, Request

LEVELS, HEADS, HEAD_WIDTH = 4, 8, 64
GATE = 0.5
SENTENCE = "The mayor of Vrin wrote to the guild about roads, grain, salt and the bridge. "


class SilentJob(FusedJob):
    """A request whose answer nobody reads."""

    def send(self, item: Chunk | Exception) -> None:
        """Take the answer; a failure is one."""
        if isinstance(item, Exception):
            raise item


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Time reading and writing at every number of rows."""
    torch.manual_seed(seed)
    members = [_member(scale, i, *size) for i, size in enumerate(scale.members)]
    layers = FusionLayers(
        [member.width for member in members],
        [0],
        levels=LEVELS,
        heads=HEADS,
        head_width=HEAD_WIDTH,
    )
    layers.to(scale.device).eval().requires_grad_(False)
    for level in layers.levels:
        level.gates.fill_(GATE)
    recorder.add(
        "members",
        parameters=[sum(p.numel() for p in member.model.parameters()) for member in members],
        layers=sum(p.numel() for p in layers.parameters()),
    )
    for rows in scale.rows:
        recorder.attempt(f"rows {rows}", lambda n=rows: _rows(scale, layers, members, n), needs=5)


def _member(scale: Scale, number: int, width: int, layers: int) -> FusionMember:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    heads = max(1, width // 64)
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 4),
        vocab_size=scale.vocabulary,
        max_position_embeddings=4 * scale.prompt,
    )
    with torch.device(scale.device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, scale.dtype)).eval()
    with tempfile.TemporaryDirectory() as folder:  # a tokenizer of bytes, a token each
        tokenizer = AutoTokenizer.from_pretrained(save_tiny(Path(folder) / "tiny", "llama"))
    return FusionMember(f"member {number}", model, tokenizer, levels=LEVELS)


@torch.inference_mode()
def _rows(
    scale: Scale, layers: FusionLayers, members: list[FusionMember], rows: int
) -> dict[str, Any]:
    own = members[0]
    plain, fused = ContinuousBatch(own.model), FusedBatch(layers, 0, members, 0)
    jobs = {alone: _jobs(scale, layers, members, rows, alone, fused, plain) for alone in (0, 1)}
    for batch, alone in ((fused, 0), (plain, 1)):
        _read(batch, jobs[alone].pop())  # has kernels measured, and libraries set up
        batch.step()
        batch.clear()
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        _wait(scale)
        began = time.perf_counter()
        work()
        _wait(scale)
        times.setdefault(name, []).append(1e3 * (time.perf_counter() - began))

    held = {}
    for name, batch, alone in (("plain", plain, 1), ("fused", fused, 0)):
        before = _held(scale)
        for job in jobs[alone]:
            timed(f"read_{name}_ms", lambda b=batch, j=job: _read(b, j))
        held[f"held_{name}_mib"] = (_held(scale) - before) / 2**20
    for _ in range(2):
        fused.step()
        plain.step()
    for _ in range(scale.steps):
        timed("step_plain_ms", plain.step)
        timed("step_fused_ms", fused.step)
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        **median,
        "decode_time_vs_primary": median["step_fused_ms"] / median["step_plain_ms"],
        "tokens_per_s_plain": 1e3 * rows / median["step_plain_ms"],
        "tokens_per_s_fused": 1e3 * rows / median["step_fused_ms"],
        **held,
        "peak_gib": _peak(scale),
    }


def _jobs(
    scale: Scale,
    layers: FusionLayers,
    members: list[FusionMember],
    rows: int,
    alone: int,
    fused: FusedBatch,
    plain: ContinuousBatch,
) -> list[SilentJob]:
    """Return one long greedy request a row, and one to begin with; `alone` has no peers."""
    vocabulary, jobs = Vocabulary(members[0].tokenizer), []
    for row in range(rows + 1):
        text = f"{row} " + SENTENCE * (scale.prompt // len(SENTENCE) + 1)
        request = Request(model="", prompt=text[: scale.prompt])
        reading = members[0].encode(request)
        greedy = Sampling(2 * scale.prompt, temperature=0.0)
        logits_E = layers.router(members[0].embed(reading.tokens)[None])[0]
        jobs.append(
            SilentJob(
                plain if alone else fused,
                list(reading.tokens),
                [Candidate(vocabulary, frozenset(), greedy)],
                False,
                None,
                reading=reading,
                peers={} if alone else {1: members[1].encode(request)},
                logits_E=logits_E,
            )
        )
    return jobs


def _read(batch: ContinuousBatch, job: SilentJob) -> None:
    for _ in batch.read(job):
        pass


def _wait(scale: Scale) -> None:
    if not scale.dry:
        torch.cuda.synchronize()


def _held(scale: Scale) -> int:
    return 0 if scale.dry else torch.cuda.memory_allocated()


def _peak(scale: Scale) -> float:
    return 0.0 if scale.dry else torch.cuda.max_memory_allocated() / 2**30
