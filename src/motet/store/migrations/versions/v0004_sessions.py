"""What is remembered of conversations."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sessions",
        sql.Column("id", sql.Text(), primary_key=True),
        *(sql.Column(name, sql.Text(), nullable=False) for name in ("expert", "latched")),
        *(sql.Column(name, sql.BigInteger(), nullable=False) for name in ("judged", "messages")),
        sql.Column("ended", sql.Double(), nullable=False),
    )
    op.create_index("sessions_by_end", "sessions", ["ended"])
