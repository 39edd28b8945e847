"""Part c: the table's entries timed on the shapes that serving uses, and a new table from them.

For each kernel an entry stays if it is the fastest of some shape; the fastest of most comes first
after the small one that interpreters use. Copy the file over `motet/kernels/triton/hopper.json`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu.batches import LatentBatch, Level
from benchmarks.gpu.entries import KERNELS, entries_of, pinned
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.timing import median_ms

from motet.kernels.triton.tuning import EXACT, TABLE

FILE = "hopper.json"

Timed = Mapping[str, Any]
"""One result: a kernel, an entry and its milliseconds."""


def run(recorder: Recorder, scale: Scale, seed: int) -> None:
    """Time every entry, and write the table as far as it is known after each kernel."""
    rows: list[Timed] = []
    for dtype in dict.fromkeys((scale.dtype, "float32")):
        for requests in scale.requests[:1] if scale.dry else (32, 8):
            for width in (64,) if dtype == "float32" else (64, 128):
                rows += _timed(recorder, scale, dtype, requests, width, seed)
                (recorder.folder / FILE).write_text(table(rows, _device(recorder)))


def _timed(
    recorder: Recorder, scale: Scale, dtype: str, requests: int, width: int, seed: int
) -> list[Timed]:
    rows: list[Timed] = []
    for name in KERNELS:
        if width == 128 and name.endswith("projection"):
            continue  # of the packed width they see only the whole
        call = _call(name, scale, dtype, requests, width, seed)
        for entry in list(entries_of(name, dtype))[: 2 if scale.dry else None]:
            about = {"kernel": name, "dtype": dtype, "requests": requests, "head_width": width}
            case = f"{name} {dtype} b{requests} d{width} {_words(entry)}"
            measured = recorder.attempt(
                case,
                lambda n=name, e=entry, a=about, c=call: {**a, "entry": e, "ms": _ms(n, e, c)},
                needs=3,
            )
            if measured:
                rows.append(measured)
    return rows


def _call(
    name: str, scale: Scale, dtype: str, requests: int, width: int, seed: int
) -> Callable[[], Any]:
    """Return one call of a kernel on a batch as serving has it."""
    experts, numbers = scale.experts[0], getattr(torch, dtype)
    if name.endswith("projection"):
        level = Level(scale, requests, experts, numbers, seed)
        return level.project if name == "projection" else level.project_back
    return LatentBatch(scale, requests, experts, numbers, name == "decode", seed, width).ours()


def _ms(name: str, entry: Mapping[str, int], call: Callable[[], Any]) -> float:
    with pinned(name, [entry]):
        return median_ms(call)


def _words(entry: Mapping[str, int]) -> str:
    return "/".join(str(value) for value in entry.values())


def _device(recorder: Recorder) -> str:
    return next((row["device"] for row in recorder.rows() if "device" in row), "this machine")


def table(rows: Sequence[Timed], device: str) -> str:
    """Return the table that results speak for, as JSON; what was not timed stays as it is."""
    made: dict[str, Any] = {"measured": f"on {device}, by benchmarks/gpu/run"}
    for name, entries in sorted(TABLE.items()):
        if name != "measured":
            made[name] = _kept(name, entries, rows)
    parts = [
        f'  "{name}": '
        + (
            json.dumps(value)
            if isinstance(value, str)
            else "[\n" + ",\n".join(f"    {json.dumps(entry)}" for entry in value) + "\n  ]"
        )
        for name, value in made.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _kept(name: str, entries: Sequence[Timed], rows: Sequence[Timed]) -> list[Timed]:
    """Return the entries that won, the most often fastest first, behind the small one."""
    exact = name.endswith(EXACT)
    of_kernel = [
        row
        for row in rows
        if row["kernel"] == name.removesuffix(EXACT)
        and row["entry"] in list(entries)
        # A kernel without entries of its own for fp32 shares those of the other dtypes.
        and (exact or row["dtype"] != "float32" or name + EXACT not in TABLE)
    ]
    shapes: dict[tuple[Any, ...], list[Timed]] = {}
    for row in of_kernel:
        shapes.setdefault((row["dtype"], row["requests"], row["head_width"]), []).append(row)
    wins: Counter[int] = Counter()
    for timed in shapes.values():
        best = min(timed, key=lambda row: row["ms"])["entry"]
        wins[list(entries).index(best)] += 1
    if not wins:
        return list(entries)
    won = [entries[index] for index, _ in wins.most_common()]
    small = [] if exact else [entries[0]]
    return [*small, *(entry for entry in won if entry not in small)]


def use(folder: Path) -> None:
    """Let the kernels of this process choose from the table in `folder`, where there is one."""
    from motet.kernels.triton.tuning import TUNED, configs

    file = folder / FILE
    if not file.exists():
        return
    written = json.loads(file.read_text())
    for name, kernel in TUNED.items():
        if len(kernel.configs) > 1:
            kernel.configs = configs(written[name]) + configs(written.get(name + EXACT, []))
