"""What a fused answer takes beside the primary's own: time and memory, on the transfer example."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from _fleet import ROOT

EXAMPLE = ROOT / "examples" / "transfer"
ROWS = 8
SENTENCE = "The mayor of {town} wrote to the guild about roads, grain, salt and the bridge. "


def costs(rounds: int) -> dict[str, float]:
    """Return ratios of times and of memory on the example's members."""
    import torch

    from motet.config import load
    from motet.fusion.artifact import load_layers, load_trained_member, parameters
    from motet.fusion.card import read_card
    from motet.fusion.generate import FusedBatch
    from motet.generation.rows import ContinuousBatch
    from motet.weights import Setting, default_cache

    document = load(EXAMPLE / "experts.yaml")
    setting = Setting(document.folder, default_cache())
    artifact = EXAMPLE / "work" / "fusion"
    card = read_card(artifact)
    layers = load_layers(artifact, card)
    members = [
        load_trained_member(card, member, setting, dtype=card.dtype, device="cpu")
        for member in card.members
    ]
    own, peer = members
    plain, fused = ContinuousBatch(own.model), FusedBatch(layers, 0, members, card.draft_tokens)
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        times.setdefault(name, []).append(time.perf_counter() - began)

    with torch.inference_mode():
        for batch, alone in ((plain, True), (fused, False)):
            for n in range(ROWS):
                read(batch, job(batch, members, layers, n, alone))
        for n in range(rounds):
            timed("decode alone", plain.step)
            timed("decode fused", fused.step)
            if n % 4 == 0:
                lone, together = ContinuousBatch(own.model), FusedBatch(layers, 0, members, 0)
                asked = job(lone, members, layers, n, True)
                both = job(together, members, layers, n, False)
                tokens = both.peers[1].tokens
                timed("read primary", lambda b=lone, j=asked: read(b, j))
                timed("read peer", lambda t=tokens: plainly(peer, t))
                timed("read fused", lambda b=together, j=both: read(b, j))
        held = memory(plain, fused, own, layers)
    median = {name: statistics.median(found) for name, found in times.items()}
    return {
        "decode_time_vs_primary_b8": median["decode fused"] / median["decode alone"],
        "prefill_vs_members": median["read fused"] / (median["read primary"] + median["read peer"]),
        "layers_vs_primary": parameters(layers) / sum(p.numel() for p in own.model.parameters()),
        **held,
        **{f"{name.replace(' ', '_')}_s": value for name, value in median.items()},
    }


def memory(plain: Any, fused: Any, own: Any, layers: Any) -> dict[str, float]:
    """Return bytes of tensors that both batches hold between two steps, and their ratios.

    Both stand at the same step of the same rows. Peers' weights, which a fleet has anyway, are not
    counted.
    """
    jobs = [row.job for row in fused.rows]
    remembered = [tensor for job in jobs for pair in job.memory.levels for tensor in pair]
    tokens = sum(len(segment.ends) for job in jobs for segment in job.memory.segments)
    packed = [tensor for pair in fused._decoding[1]._levels for tensor in pair]
    weights, trained = size(own.model.parameters()), size(layers.state_dict().values())
    alone, beside = size(kept(plain)), size(kept(fused))
    read = sum(row.length for row in plain.rows)
    extra = size([*remembered, *packed])
    return {
        "layers_bytes_vs_primary": trained / weights,
        "memory_per_peer_token_vs_kv": size(remembered) / tokens / (alone / read),
        "decode_bytes_vs_primary_b8": (weights + trained + beside + extra) / (weights + alone),
        "decode_bytes_beyond_weights_b8": (beside + extra) / alone,
        "layers_bytes": trained,
        "memory_bytes_a_peer_token": size(remembered) / tokens,
        "kv_bytes_a_primary_token": alone / read,
    }


def size(tensors: Iterable[Any]) -> float:
    """Return the bytes of tensors, those that share a storage counted once."""
    stores = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return float(sum(stores.values()))


def kept(batch: Any) -> list[Any]:
    """Return the keys and values that a batch keeps of its rows."""
    return [t for layer in batch._cache.layers for t in (layer.keys, layer.values)]


def job(batch: Any, members: Any, layers: Any, n: int, alone: bool) -> Any:
    """Return a long greedy request; `alone` has no peers."""
    from motet.fusion.generate import FusedJob
    from motet.generation.decoding import Candidate, Sampling, Vocabulary
    from motet.types import Request

    class Silent(FusedJob):
        def send(self, item: object) -> None:
            """Nobody listens."""

    request = Request(model="", prompt=SENTENCE.format(town=f"Vrin{n}") * 6)
    own, peer = members
    reading = own.encode(request)
    candidate = Candidate(Vocabulary(own.tokenizer), frozenset(), Sampling(4096, temperature=0.0))
    bag_F = own.embed(reading.tokens)
    return Silent(
        batch,
        list(reading.tokens),
        [candidate],
        False,
        None,
        reading=reading,
        peers={} if alone else {1: peer.encode(request)},
        logits_E=layers.router(bag_F[None])[0],
    )


def read(batch: Any, made: Any) -> None:
    """Read the prompt of a job to its end."""
    for _ in batch.read(made):
        pass


def plainly(member: Any, tokens: Any) -> None:
    """Read a prompt as the decoder itself does, and keep nothing."""
    import torch

    member.decoder(input_ids=torch.tensor([list(tokens)]), use_cache=False)
