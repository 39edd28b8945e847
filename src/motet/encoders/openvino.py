"""Encoders compiled by OpenVINO: the same vectors, several times as fast on a CPU.

A service loads neither torch nor transformers for one: a process of its own converts the encoder
once (`conversion.py`), and what it writes is kept in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from motet.progress import silent
from motet.weights.store import build_once

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL, TOKENIZER, FACTS = "model.xml", "tokenizer.json", "encoder.json"
"""Files of a converted encoder: the model, its tokenizer, and `width` and `tokens` in JSON."""
_FORM = 1
"""Of these files; another number has every encoder converted anew."""


class CompiledEncoder:
    """A converted encoder, compiled for this machine's CPU.

    Products are in bf16 where the core has it, as OpenVINO decides: the vectors of MiniLM then
    differ from torch's by a cosine of 0.9999 at the least.

    Parameters
    ----------
    folder
        A folder that `conversion.convert` filled.

    Attributes
    ----------
    width
        Numbers in a vector.
    tokens
        Tokens of a text that are read.
    """

    def __init__(self, folder: Path) -> None:
        # Importing OpenVINO reports to its makers, unless the package it reports with is absent.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino
        from tokenizers import Tokenizer

        facts = json.loads((folder / FACTS).read_text())
        self.width = int(facts["width"])
        self.tokens = int(facts["tokens"])
        self._counter = Tokenizer.from_file(str(folder / TOKENIZER))
        self._counter.no_truncation()
        self._counter.no_padding()
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.enable_truncation(self.tokens)
        self._tokenizer.enable_padding(**facts["padding"])
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": _threads()}
        self._compiled: Any = openvino.compile_model(str(folder / MODEL), "CPU", settings)
        self._inputs = [each.get_any_name() for each in self._compiled.inputs]
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return `[texts, width]` vectors of length one, all texts in one batch."""
        import numpy as np

        read = self._tokenizer.encode_batch(list(texts))
        columns = {
            "input_ids": [each.ids for each in read],
            "attention_mask": [each.attention_mask for each in read],
            "token_type_ids": [each.type_ids for each in read],
        }
        arrays = {name: np.array(columns[name], np.int64) for name in self._inputs}
        with self._lock:  # a compiled model has one set of buffers
            vectors: NDArray[np.float32] = self._compiled(arrays)[0].copy()
        return vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text is, however many are read."""
        return [len(each.ids) for each in self._counter.encode_batch(list(texts))]


def compiled(folder: Path, digest: str, cache: Path) -> CompiledEncoder:
    """Return the encoder of a folder, converted on first use (seconds) and kept in `cache`.

    Raises
    ------
    RuntimeError
        It cannot be converted, or its vectors are then others.
    OSError
        The cache cannot be written.
    """
    source = f"{digest} {version('openvino')} {_FORM}"

    def build(made: Path) -> None:
        _in_a_process("motet.encoders.conversion", folder, made)

    place = cache / "encoders" / f"{digest[:16]}-openvino"
    return CompiledEncoder(build_once(place, source, build, silent))


def _in_a_process(module: str, *arguments: Path) -> None:
    """Run a module of ours; the libraries that it loads leave with it."""
    # What this process may import, that one may: workers of Ray have paths of their own.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it died"])[-1])


def _threads() -> int:
    """Return how many threads compute: as many as other libraries are told to take."""
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if told.isdigit():
        return int(told)
    ours = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(ours(0)) if ours else os.cpu_count() or 1
