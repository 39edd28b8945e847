"""What the tables share. Each group of them stands with what reads and writes it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Integer, MetaData, Table, true

METADATA = MetaData()
"""All tables; `motet.store.migrations` makes them."""

RowNumber = BigInteger().with_variant(Integer(), "sqlite")
"""A number that the database counts up; SQLite does so for INTEGER alone."""


def insert(connection: Connection, table: Table) -> Any:
    """Return an insert into `table` that can be told what to do where a row is there already."""
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def own(table: Table, owner: str | None) -> ColumnElement[bool]:
    """Return the condition on rows that are `owner`'s, or everybody's where that is None."""
    return true() if owner is None else table.c.owner == owner
