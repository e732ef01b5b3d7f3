"""The schedule: manuals in force, occurrences that were started, what people said of them, services and their lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the schedule."""
    op.create_table(
        "manual_version",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("program", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
    )
    op.create_table(
        "occurrence",
        sa.Column("item", sa.Text, primary_key=True),
        sa.Column("due", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("directory", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("limit_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("exit", sa.Integer),
        sa.Column("fact", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("retry_at", sa.Text),
        sa.Column("output", sa.Text, nullable=False),
    )
    op.create_index("occurrence_due", "occurrence", ["due"])
    op.create_index("occurrence_state", "occurrence", ["state"])
    op.create_table(
        "mark",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("due", sa.Text),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("until", sa.Text, nullable=False),
    )
    op.create_table(
        "service",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("beat_at", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.add_column("run", sa.Column("home", sa.Text, nullable=False, server_default=""))
    op.create_index("evidence_kind_at", "evidence", ["kind", "at"])
