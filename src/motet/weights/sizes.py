"""How much memory a model's weights take, read from its files without loading it."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import orjson

from motet.config import Setting
from motet.errors import SourceError
from motet.progress import Progress, silent
from motet.weights.sources import fetch

_HEADER = struct.Struct("<Q")
_LONGEST_HEADER = 100 * 1024**2  # the format's own bound


def weight_bytes(
    model: str, setting: Setting, *, width: int | None = None, report: Progress = silent
) -> int | None:
    """Return the bytes of a model's weights; None for one of a hub that is not on this machine.

    Fetches and converts as `fetch` does where the source is not a hub, so call it off the event
    loop. Weights are counted in safetensors' headers, as the format's specification lays them out.

    Parameters
    ----------
    width
        Bytes a number once loaded, such as 4 for float32; those of the file when absent.

    Raises
    ------
    SourceError
        There is no such model, or its files are damaged.
    """
    source = fetch(model, setting, report)
    folder = Path(source) if Path(source).is_dir() else hub_folder(source)
    if folder is None:
        return None
    return sum(_tensor_bytes(file, width) for file in sorted(folder.glob("*.safetensors"))) or None


def hub_folder(name: str) -> Path | None:
    """Return where the hub's own cache keeps a model, if it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _tensor_bytes(file: Path, width: int | None) -> int:
    """Return the bytes of all tensors of one safetensors file."""
    try:
        with file.open("rb") as opened:
            (length,) = _HEADER.unpack(opened.read(_HEADER.size))
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = orjson.loads(opened.read(length))
        header.pop("__metadata__", None)
        if width is not None:
            return int(width * sum(math.prod(tensor["shape"]) for tensor in header.values()))
        spans = (tensor["data_offsets"] for tensor in header.values())
        return int(sum(end - start for start, end in spans))
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{file} is not a safetensors file: {error}.") from error


def available_memory() -> int:
    """Return the bytes of this machine's memory that programs can take now."""
    import os

    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
