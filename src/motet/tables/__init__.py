"""Routing tables, read and checked whole: `tables.read(path)`."""

from motet.tables.columns import read_columns
from motet.tables.routing import Table, fingerprints, read, unseen

__all__ = ["Table", "fingerprints", "read", "read_columns", "unseen"]
