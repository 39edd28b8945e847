"""Routing and recorded tables, read and checked whole: `tables.read(path)`."""

from motet.tables.columns import read_columns
from motet.tables.recorded import Recorded, read_recorded
from motet.tables.routing import Table, fingerprints, read, unseen

__all__ = [
    "Recorded",
    "Table",
    "fingerprints",
    "read",
    "read_columns",
    "read_recorded",
    "unseen",
]
