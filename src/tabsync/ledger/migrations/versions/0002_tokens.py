"""Tokens of operators, for programs that use the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of tokens."""
    op.create_table(
        "token",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column("operator_id", sa.Integer, sa.ForeignKey("operator.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
