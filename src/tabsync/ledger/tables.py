"""The ledger's tables. Times are ISO 8601 text in UTC, the same on SQLite and PostgreSQL, and sort as they are."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

metadata = MetaData()

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("procedure", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),  # running, done, failed, interrupted; open: between two of its steps
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
    Column("home", Text, nullable=False, server_default=""),  # see system.place
    Column("parent", Text, nullable=False, server_default=""),  # the run that it belongs to
    Index("run_parent", "parent"),
)

step = Table(
    "step",
    metadata,
    Column("run_id", Text, ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting, running, done, failed, interrupted, skipped
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
    Index("evidence_kind_at", "kind", "at"),
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

second_factor = Table(
    "second_factor",
    metadata,
    Column("operator_id", Integer, ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", Text, nullable=False),  # base32: whoever reads the ledger has it, and the password not yet
    Column("last_step", Integer, nullable=False),  # of the newest code that was used: each is used once
    Column("confirmed_at", Text),  # NULL: it was shown, and no code of it was seen yet
    Column("created_at", Text, nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("operator_id", Integer, ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", Text, primary_key=True),  # SHA-256: a code is random, there is nothing to guess
)

operator_user = Table(
    "operator_user",
    metadata,
    Column("operator_id", Integer, ForeignKey("operator.id", ondelete="CASCADE"), primary_key=True),
    Column("subject", Text, primary_key=True),  # system identifier/database
    Column("user_key", Text, nullable=False),  # who the operator is among that database's users
    Column("created_at", Text, nullable=False),
)

manual_version = Table(
    "manual_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),  # since when it is in force
    Column("digest", Text, nullable=False),
    Column("program", Text, nullable=False),  # the version of tabsync that read it
    Column("subject", Text, nullable=False),
    Column("items", JSON, nullable=False),  # see schedule.items
)

occurrence = Table(
    "occurrence",
    metadata,
    Column("item", Text, primary_key=True),
    Column("due", Text, primary_key=True),
    Column("state", Text, nullable=False),  # running, ended, died, waits for approval
    Column("service", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("home", Text, nullable=False),  # see system.place
    Column("fence", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("directory", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("limit_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("exit", Integer),
    Column("fact", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("retry_at", Text),
    Column("output", Text, nullable=False),
    Index("occurrence_due", "due"),
    Index("occurrence_state", "state"),
)

mark = Table(
    "mark",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),  # skip, done, approve
    Column("item", Text, nullable=False),
    Column("due", Text),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of what was approved
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("until", Text, nullable=False),  # by the clock of the ledger's server
)

service = Table(
    "service",
    metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("beat_at", Text, nullable=False),
    Column("facts", JSON, nullable=False),
)

episode = Table(
    "episode",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),  # threshold, blind, down, item, channel, history, hidden, report
    Column("rule", Text, nullable=False),  # the metric's title, the item's short name, the channel's name
    Column("label", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending, firing, recovering, ended
    Column("level", Text, nullable=False),  # warning, critical
    Column("began_at", Text, nullable=False),
    Column("fired_at", Text),
    Column("ended_at", Text),
    Column("seen_at", Text, nullable=False),  # the last fresh measurement
    Column("acked_at", Text),
    Column("acked_by", Text, nullable=False),
    Column("is_test", Boolean, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("episode_ended_at", "ended_at"),
    Index("episode_rule", "rule", "label"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("episode", Text, ForeignKey("episode.id", ondelete="CASCADE"), nullable=False),
    Column("contact", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("event", Text, nullable=False),  # start, critical, end, reminder 2, notice
    Column("created_at", Text, nullable=False),
    Column("due_at", Text, nullable=False),
    Column("state", Text, nullable=False),  # waiting, sending, sent, withheld, given up
    Column("tries", Integer, nullable=False),
    Column("sent_at", Text),
    Column("fact", Text, nullable=False),
    UniqueConstraint("episode", "contact", "event"),
    Index("delivery_state", "state", "due_at"),
)

silence = Table(
    "silence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("from_at", Text, nullable=False),
    Column("until_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("ended_by", Text, nullable=False),
)

alert_window = Table(
    "alert_window",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("from_at", Text, nullable=False),
    Column("until_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("critical_too", Boolean, nullable=False),  # critical alerts are withheld too
    Column("run_id", Text, nullable=False),
)

incident_entry = Table(
    "incident_entry",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),  # see incidents.incident
    Column("who", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("incident_entry_incident", "incident"),
)

last_known = Table(
    "last_known",
    metadata,
    Column("subject", Text, primary_key=True),  # which database, in words; its row is replaced at each health check
    Column("at", Text, nullable=False),
    Column("facts", JSON, nullable=False),  # whom to call, and what the server said of itself: see incidents.known
)
