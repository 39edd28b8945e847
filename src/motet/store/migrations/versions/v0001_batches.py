"""Files, batches and jobs, as SQLite files of before have them: these are taken as they are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables that are not there, and the columns that the oldest of them lack."""
    there = set(sql.inspect(op.get_bind()).get_table_names())

    def table(name: str, *columns: Any, **options: Any) -> None:
        if name not in there:
            op.create_table(name, *columns, **options)
        elif any(column.name == "owner" for column in columns):
            known = [column["name"] for column in sql.inspect(op.get_bind()).get_columns(name)]
            if "owner" not in known:
                op.add_column(name, _owner())

    table("files", *_listed(), *_file(), _owner(), sqlite_autoincrement=True)
    table("batches", *_listed(), *_batch(), _owner(), sqlite_autoincrement=True)
    table("jobs", *_job())
    table("lines", *_line(), sqlite_with_rowid=False)
    table("calls", *_call(), sqlite_with_rowid=False)


def _owner() -> Any:
    return sql.Column("owner", sql.Text(), nullable=False, server_default="")


def _listed() -> list[Any]:
    number = sql.BigInteger().with_variant(sql.Integer(), "sqlite")
    return [
        sql.Column("row", number, primary_key=True, autoincrement=True),
        sql.Column("id", sql.Text(), unique=True, nullable=False),
    ]


def _file() -> list[Any]:
    return [
        sql.Column("name", sql.Text(), nullable=False),
        sql.Column("purpose", sql.Text(), nullable=False),
        sql.Column("bytes", sql.BigInteger(), nullable=False),
        sql.Column("created", sql.BigInteger(), nullable=False),
    ]


def _batch() -> list[Any]:
    return [sql.Column(name, sql.Text(), nullable=False) for name in ("status", "input", "body")]


def _job() -> list[Any]:
    return [
        sql.Column("id", sql.Text(), primary_key=True),
        sql.Column("facts", sql.Text(), nullable=False),
        sql.Column("created", sql.BigInteger(), nullable=False),
        sql.Column("loads", sql.BigInteger(), nullable=False, server_default="0"),
        sql.Column("seconds", sql.Double(), nullable=False, server_default="0"),
        sql.Column("owner", sql.Text()),
        sql.Column("lease", sql.Double(), nullable=False, server_default="0"),
    ]


def _line() -> list[Any]:
    return [
        sql.Column("job", sql.Text(), primary_key=True),
        sql.Column("number", sql.BigInteger(), primary_key=True, autoincrement=False),
        sql.Column("offset", sql.BigInteger(), nullable=False),
        sql.Column("size", sql.BigInteger(), nullable=False),
        sql.Column("custom_id", sql.Text()),
        sql.Column("decision", sql.LargeBinary()),
        sql.Column("result", sql.LargeBinary()),
        sql.Column("failed", sql.Boolean(), nullable=False, server_default=sql.false()),
    ]


def _call() -> list[Any]:
    return [
        sql.Column("job", sql.Text(), primary_key=True),
        sql.Column("line", sql.BigInteger(), primary_key=True, autoincrement=False),
        sql.Column("key", sql.Text(), primary_key=True),
        sql.Column("expert", sql.Text(), nullable=False),
        sql.Column("answer", sql.LargeBinary(), nullable=False),
        sql.Column("prompt_tokens", sql.BigInteger(), nullable=False),
        sql.Column("completion_tokens", sql.BigInteger(), nullable=False),
        sql.Column("cost_usd", sql.Double(), nullable=False),
    ]
