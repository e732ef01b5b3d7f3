"""The ledger's tables. Times are ISO 8601 text in UTC, the same on SQLite and PostgreSQL, and sort as they are."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData()

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("procedure", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),  # running, done, failed, interrupted
    Column("approval", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("target", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("manual_digest", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
)

step = Table(
    "step",
    metadata,
    Column("run_id", Text, ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, done, failed, interrupted
    Column("started_at", Text),
    Column("seconds", Float),
    Column("facts", JSON),
    Column("fact", Text),
    Column("hint", Text),
)

evidence = Table(
    "evidence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),  # backup, drill, status (when its level changed)
    Column("subject", Text, nullable=False),  # system identifier/database
    Column("ok", Boolean, nullable=False),
    Column("run_id", Text, ForeignKey("run.id")),
    Column("facts", JSON, nullable=False),
    Index("evidence_kind_subject_at", "kind", "subject", "at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("run_id", Text),
)

operator = Table(
    "operator",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256: who reads the ledger can't take a session over
    Column("operator_id", Integer, ForeignKey("operator.id", ondelete="CASCADE"), nullable=False),
    Column("csrf_token", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256, as of a session
    Column("operator_id", Integer, ForeignKey("operator.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Text, nullable=False),
)
