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
    is_loopback,
)
from motet.config.setting import Setting, default_cache, default_state
from motet.config.store import Retention, Store
from motet.config.telemetry import Telemetry
from motet.config.url import Url

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
    "Retention",
    "Service",
    "Setting",
    "Store",
    "Telemetry",
    "Url",
    "default_cache",
    "default_state",
    "is_loopback",
    "load",
    "load_as",
    "parse",
]
