"""What members of ensembles have said of texts, and what the ensembles have learned since."""

import sqlalchemy as sql
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "moderations",
        sql.Column("id", sql.Text(), primary_key=True),
        sql.Column("number", sql.BigInteger(), primary_key=True),
        sql.Column("moderation", sql.Text(), nullable=False),
        sql.Column("time", sql.Double(), nullable=False),
        sql.Column("scores", sql.Text(), nullable=False),
        sql.Column("truth", sql.Text()),
    )
    op.create_index("moderations_by_time", "moderations", ["time"])
    op.create_table(
        "ensembles",
        sql.Column("name", sql.Text(), primary_key=True),
        sql.Column("state", sql.Text(), nullable=False),
    )
