"""`experts.yaml`: its schema and how it is read."""

from motet.config.load import Document, load, load_as, parse
from motet.config.schema import (
    Batches,
    Component,
    CompositionEntry,
    Config,
    ExpertEntry,
    Limits,
    Options,
    Residency,
    Retention,
    Service,
    Store,
    Url,
    is_loopback,
)
from motet.config.setting import Setting, default_cache, default_state

__all__ = [
    "Batches",
    "Component",
    "CompositionEntry",
    "Config",
    "Document",
    "ExpertEntry",
    "Limits",
    "Options",
    "Residency",
    "Retention",
    "Service",
    "Setting",
    "Store",
    "Url",
    "default_cache",
    "default_state",
    "is_loopback",
    "load",
    "load_as",
    "parse",
]
