"""Decision records, the usage ledger, and how far each writer of them is."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXTS = "decision key tenant composition router experts reason"
_MORE_TEXTS = "artifact outcome error author"
_COUNTS = "requests failed calls prompt_tokens completion_tokens"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sql.Column("id", sql.Text(), primary_key=True),
        sql.Column("time", sql.Double(), nullable=False),
        *(sql.Column(name, sql.Text()) for name in _TEXTS.split()),
        sql.Column("confidence", sql.Double()),
        *(sql.Column(name, sql.Text()) for name in _MORE_TEXTS.split()),
        *(sql.Column(name, sql.Double()) for name in ("seconds", "first_chunk_s")),
        *(sql.Column(name, sql.BigInteger()) for name in ("prompt_tokens", "completion_tokens")),
        sql.Column("cost_usd", sql.Double()),
        *(sql.Column(name, sql.Text()) for name in ("calls", "prompt", "answer")),
        sql.Column("size", sql.BigInteger(), nullable=False),
    )
    op.create_index("decisions_by_time", "decisions", ["time", "size"])
    op.create_table(
        "usage",
        *(
            sql.Column(name, sql.Text(), primary_key=True)
            for name in ("day", "key", "tenant", "composition", "expert")
        ),
        *(sql.Column(name, sql.BigInteger(), nullable=False) for name in _COUNTS.split()),
        sql.Column("cost_usd", sql.Double(), nullable=False),
    )
    op.create_table(
        "writers",
        sql.Column("id", sql.Text(), primary_key=True),
        sql.Column("number", sql.BigInteger(), nullable=False),
        sql.Column("time", sql.Double(), nullable=False),
    )
