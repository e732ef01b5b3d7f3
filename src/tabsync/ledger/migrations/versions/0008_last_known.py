"""What was known of a database when it last answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which has one row of each database."""
    op.create_table(
        "last_known",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Back to what is proven and done."""
    op.drop_table("last_known")
