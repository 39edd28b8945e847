"""`experts.yaml`: its schema and how it is read."""

from motet.config.load import Document, load, load_as, parse
from motet.config.schema import (
    Batches,
    Component,
    Composition,
    Config,
    ExpertEntry,
    Limits,
    Options,
    Residency,
    Service,
)

__all__ = [
    "Batches",
    "Component",
    "Composition",
    "Config",
    "Document",
    "ExpertEntry",
    "Limits",
    "Options",
    "Residency",
    "Service",
    "load",
    "load_as",
    "parse",
]
