"""Responses that can be continued."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "responses",
        sql.Column("id", sql.Text(), primary_key=True),
        sql.Column("owner", sql.Text(), nullable=False),
        sql.Column("time", sql.Double(), nullable=False),
        sql.Column("input", sql.Text(), nullable=False),
        sql.Column("response", sql.Text(), nullable=False),
        sql.Column("size", sql.BigInteger(), nullable=False),
    )
    op.create_index("responses_by_time", "responses", ["time", "size"])
