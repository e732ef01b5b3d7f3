"""The second factor of operators, and who they are among the application's users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of second factors, recovery codes and users."""
    op.create_table(
        "second_factor",
        _operator(),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("last_step", sa.Integer, nullable=False),
        sa.Column("confirmed_at", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table("recovery_code", _operator(), sa.Column("code_hash", sa.Text, primary_key=True))
    op.create_table(
        "operator_user",
        _operator(),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("user_key", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Back to passwords alone."""
    for name in ("operator_user", "recovery_code", "second_factor"):
        op.drop_table(name)


def _operator() -> sa.Column[int]:
    return sa.Column("operator_id", sa.Integer, sa.ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True)
