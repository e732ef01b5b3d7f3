"""Runs under a run: the steps of a runbook that were carried out are runs of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the run that a run belongs to."""
    op.add_column("run", sa.Column("parent", sa.Text, nullable=False, server_default=""))
    op.create_index("run_parent", "run", ["parent"])


def downgrade() -> None:
    """Back to runs that stand alone."""
    op.drop_index("run_parent", "run")
    op.drop_column("run", "parent")
