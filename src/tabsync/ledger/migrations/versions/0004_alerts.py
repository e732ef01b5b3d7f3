"""Alerts: what began and ended, who was told, what is silenced, and when alerts are expected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of alerts."""
    op.create_table(
        "episode",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("began_at", sa.Text, nullable=False),
        sa.Column("fired_at", sa.Text),
        sa.Column("ended_at", sa.Text),
        sa.Column("seen_at", sa.Text, nullable=False),
        sa.Column("acked_at", sa.Text),
        sa.Column("acked_by", sa.Text, nullable=False),
        sa.Column("is_test", sa.Boolean, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_index("episode_ended_at", "episode", ["ended_at"])
    op.create_index("episode_rule", "episode", ["rule", "label"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("episode", sa.Text, sa.ForeignKey("episode.id", ondelete="CASCADE"), nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("due_at", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.Text),
        sa.Column("fact", sa.Text, nullable=False),
        sa.UniqueConstraint("episode", "contact", "event"),
    )
    op.create_index("delivery_state", "delivery", ["state", "due_at"])
    op.create_table(
        "silence",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("from_at", sa.Text, nullable=False),
        sa.Column("until_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("ended_by", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_window",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("from_at", sa.Text, nullable=False),
        sa.Column("until_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("critical_too", sa.Boolean, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
    )
