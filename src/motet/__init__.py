"""Motet composes many expert language models into one endpoint."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motet.service.motet import Motet

__version__ = "0.1.0"
__all__ = ["Motet", "__version__"]


def __getattr__(name: str) -> Any:
    # `import motet` stays instant: the service is imported when it is first named.
    if name == "Motet":
        return import_module("motet.service.motet").Motet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
