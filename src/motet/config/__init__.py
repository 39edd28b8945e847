"""`experts.yaml`: its schema and how it is read."""

from motet.config.keys import KeyEntry, Rates
from motet.config.load import Document, load, load_as, parse
from motet.config.options import Options
from motet.config.schema import (
    Batches,
    Component,
    CompositionEntry,
    Config,
    ExpertEntry,
    Limits,
    Residency,
    Service,
    Url,
    is_loopback,
)
from motet.config.setting import Setting, default_cache

__all__ = [
    "Batches",
    "Component",
    "CompositionEntry",
    "Config",
    "Document",
    "ExpertEntry",
    "KeyEntry",
    "Limits",
    "Options",
    "Rates",
    "Residency",
    "Service",
    "Setting",
    "Url",
    "default_cache",
    "is_loopback",
    "load",
    "load_as",
    "parse",
]
