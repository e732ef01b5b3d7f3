"""Episodes in the ledger: those that are open, and what came of them, written down in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.step import Facts
from tabsync.ledger.open import Ledger
from tabsync.monitoring.alerts.episode import Episode, Key, Kind, Seen, Severity, State, advance, changed

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NEVER = "9999"


def open_episodes(ledger: Ledger, since: datetime | None = None) -> list[Episode]:
    """The episodes that have not ended; since: and those that ended from then on."""
    return [episode_of(row) for row in ledger.read("open_episodes", since=iso(since) if since else _NEVER)]


def fired(ledger: Ledger, since: datetime, limit: int = 1000) -> list[Episode]:
    """The episodes that fired from a moment on, the newest first."""
    return [episode_of(row) for row in ledger.read("episodes", since=iso(since), limit=limit)]


def one_episode(ledger: Ledger, id: str) -> Episode | None:
    """The episode of an id."""
    return next((episode_of(row) for row in ledger.read("episode", id=id)), None)


def episode_of(row: Facts) -> Episode:
    """An episode out of its row."""

    def moment(name: str) -> datetime | None:
        return parse_iso(row[name]) if row[name] else None

    return Episode(
        id=row["id"],
        subject=row["subject"],
        key=Key(cast(Kind, row["kind"]), row["rule"], row["label"]),
        state=State(row["state"]),
        level=cast(Severity, row["level"]),
        began_at=parse_iso(row["began_at"]),
        seen_at=parse_iso(row["seen_at"]),
        fired_at=moment("fired_at"),
        ended_at=moment("ended_at"),
        acked_at=moment("acked_at"),
        acked_by=row["acked_by"],
        is_test=row["is_test"],
        facts=row["facts"],
    )


def row_of(episode: Episode) -> dict[str, Any]:
    """The row of an episode, without what only people change."""
    return {
        "id": episode.id,
        "subject": episode.subject,
        "kind": episode.key.kind,
        "rule": episode.key.rule,
        "label": episode.key.label,
        "state": episode.state.value,
        "level": episode.level,
        "began_at": iso(episode.began_at),
        "fired_at": iso(episode.fired_at) if episode.fired_at else None,
        "ended_at": iso(episode.ended_at) if episode.ended_at else None,
        "seen_at": iso(episode.seen_at),
        "is_test": episode.is_test,
        "facts": episode.facts,
    }


def keep(
    ledger: Ledger,
    subject: str,
    seen: Iterable[Seen],
    check: Callable[[Connection], None] = lambda _connection: None,
    *,
    is_test: bool = False,
) -> list[Episode]:
    """Take in what was seen, and write down what changed by it; returns the episodes that changed.

    subject: of which database, "" while that isn't known: what began goes on then. check: raises when
    this process may not write any more; called in the same transaction.
    """
    known = {one.key: one for one in of_subject(open_episodes(ledger), subject) if one.is_test == is_test}
    written: dict[str, Episode] = {}
    for one in seen:
        before = known.get(one.key)
        after = advance(before, one, uuid4().hex[:12], subject, is_test=is_test)
        if after is None:
            continue
        known[one.key] = after
        if changed(before, after):
            written[after.id] = after
    if written:
        _write(ledger, list(written.values()), check)
    return list(written.values())


def of_subject(found: Iterable[Episode], subject: str) -> list[Episode]:
    """Those of a database, and those that began before it was known which one it is."""
    return [one for one in found if one.subject in (subject, "")]


def _write(ledger: Ledger, episodes: list[Episode], check: Callable[[Connection], None]) -> None:
    from sqlalchemy import delete, insert, update

    from tabsync.ledger.tables import episode

    with ledger.writing() as connection:
        check(connection)
        for one in episodes:
            if one.state is State.ENDED and one.fired_at is None:
                connection.execute(delete(episode).where(episode.c.id == one.id))  # it didn't last: nobody knows of it
                continue
            row = row_of(one)
            if not connection.execute(update(episode).where(episode.c.id == one.id).values(**row)).rowcount:
                connection.execute(insert(episode).values(**row, acked_at=None, acked_by=""))
