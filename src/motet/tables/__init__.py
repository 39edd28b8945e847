"""Routing tables, read and checked whole: `tables.read(path)`."""

from motet.tables.routing import SUFFIXES, Table, fingerprints, read, unseen

__all__ = ["SUFFIXES", "Table", "fingerprints", "read", "unseen"]
