"""`experts.yaml`: its schema and how it is read."""

from motet.config.load import Document, load, parse
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
    "parse",
]
