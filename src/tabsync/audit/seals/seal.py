"""tabsync audit seal: entries of the audit log are sealed, so that a change to them is found; the head is anchored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from tabsync.audit.database.log import SEALS, log_of, seal_rows
from tabsync.audit.seals.chain import FIRST, NO_HEAD, Seal, break_between, head_of
from tabsync.audit.seals.outside import SEALED
from tabsync.kernel.clock import now
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Nothing
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.ledger.evidence import add_evidence, latest_evidence
from tabsync.postgres.catalog import Relation, check_primary, identity, prove_target
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

PAGE = 20_000
"""Entries of one seal: half a megabyte of numbers and hashes."""

_LIMITS = Limits(lock_timeout=2_000, statement_timeout=120_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next seal goes on: behind which entry, and with which numbers of which epoch."""

    seal: Seal | None

    @property
    def after(self) -> Facts:
        """The values that the statements of seals.sql take."""
        seal = self.seal
        if seal is None or seal.opens:
            return {"after_xid": "0", "after_id": 0, "from_id": seal.epoch_from if seal else 0}
        return {"after_xid": seal.to_xid, "after_id": seal.last_id, "from_id": seal.epoch_from}


def plan_seal(workspace: Workspace, _request: Nothing) -> Plan:
    """Plan to seal what can be sealed now. Raises Refused when the log is not installed."""
    with workspace.connect("audit", _LIMITS) as connection:
        check_primary(connection)
        target = identity(connection)
        log = log_of(connection)
    step = Step(
        "seal",
        f"Seal the new entries of {log}",
        call(seal, target=target),
        f"insert into tabsync_audit.seals the hashes of all entries of {log} whose transactions have ended",
        Risk.REVERSIBLE,
        "no undo needed: it changes no entry",
        repeatable=True,
    )
    return Plan("audit seal", f"Seal the audit log of {target['database']}", (step,), target)


def show_seal(done: Done[Workspace, Nothing]) -> Page:
    """What was sealed, and what is left open and why."""
    facts = done.results.get("seal", {})
    page = Page("audit seal", facts)
    page.line((f"SEALED {facts['rows']:,} ENTRIES", "strong good"), f"; the newest seal is {facts['n']}")
    for mark in facts["marks"]:
        page.line((f"a new history begins: {mark}", "warning"))
    if facts["waiting"]:
        page.line(f"{facts['waiting']:,} newer entries wait, the oldest for {human_seconds(facts['seconds'])}")
    if stalled := facts["stalled_by"]:
        page.line((f"the transaction of {stalled_text(stalled)} holds the sealing back", "warning"))
    return page


def stalled_text(facts: Facts) -> str:
    """Whose transaction it is, in words."""
    who = f"pid {facts['pid']}" if facts["pid"] else "a prepared transaction"
    since = human_seconds(facts["seconds"] or 0)
    return f"{who} ({facts['app'] or facts['user']}, database {facts['database']}, {facts['state']}, open for {since})"


def seal(context: Context, *, target: Facts) -> Facts:
    """Seal every entry whose transaction has ended, a page at a time, and note the head in the ledger.

    Raises FailedPartway when another process is sealing, Refused when the log is not installed.
    """
    done: list[Seal] = []
    with context.workspace.connect("audit", _LIMITS) as connection:
        prove_target(connection, target)
        log = log_of(connection)
        for one in sealed(connection, log):
            done.append(one)
            context.report(sum(each.rows for each in done), 0, "entries")
        left = waiting(connection, log)
        seal_rows(connection, log, "sealed_until", seconds=left["seconds"])
    last = left.pop("seal")
    if last is not None:
        ledger, subject, facts = context.workspace.ledger(), subject_of(target), anchor_of(last)
        noted = latest_evidence(ledger, SEALED, subject)
        if noted is None or noted["facts"] != facts:
            add_evidence(ledger, SEALED, subject, ok=True, facts=facts, run_id=context.run_id)
    told = {"marks": [one.mark for one in done if one.opens], "n": last.n if last else 0}
    return told | {"rows": sum(one.rows for one in done), "seals": len(done)} | left


def anchor_of(one: Seal) -> Facts:
    """What is noted of a seal outside of the database."""
    where = {"cluster": one.cluster, "timeline": one.timeline}
    return {"n": one.n, "head": one.head.hex(), "epoch": one.epoch, "sealed_at": one.sealed_at} | where


def anchor(connection: Connection) -> Facts:
    """What a backup notes of the newest seal, at its own snapshot; {} where there is none that we may read."""
    there, readable = connection.execute(SEALS["has_seals"]).fetchone() or (False, False)
    last = newest(connection) if there and readable else None
    return anchor_of(last) if last else {}


def sealed(connection: Connection, log: Relation) -> Iterator[Seal]:
    """Seal page after page, each in a transaction of its own, until none is left. Raises FailedPartway."""
    horizon = None
    while True:
        with connection.transaction():
            if not seal_rows(connection, log, "one_at_a_time")[0]["free"]:
                raise FailedPartway("another process is sealing the log", "wait for it; to see it: tabsync run list")
            if horizon is None:  # what ends while we seal is the next one's: a busy log would keep us for ever
                horizon = seal_rows(connection, log, "horizon")[0]["horizon"]
            last = newest(connection)
            made = _opened(connection, log, last) or _page(connection, log, last, horizon)
            for one in made:
                _write(connection, log, one)
        yield from made
        if not made or (made[-1].rows < PAGE and not made[-1].opens):
            return


def newest(connection: Connection) -> Seal | None:
    """The newest seal."""
    found = seal_rows(connection, None, "newest")
    return Seal(**found[0]) if found else None


def waiting(connection: Connection, log: Relation) -> Facts:
    """What is not sealed yet: how many entries, the age of the oldest in seconds, and who holds the sealing back."""
    last = newest(connection)
    found = seal_rows(connection, log, "waiting", **Place(last).after)[0]
    told = {"seal": last, "waiting": found["rows"], "seconds": found["seconds"], "stalled_by": None}
    if found["rows"]:
        horizon = seal_rows(connection, log, "horizon")[0]["horizon"]
        stalled = seal_rows(connection, log, "stalled_by", xid=horizon)
        told["stalled_by"] = stalled[0] if stalled else None
    return told


def _opened(connection: Connection, log: Relation, last: Seal | None) -> list[Seal]:
    """The seals with which a history begins: the first one, or another after a restore. [] when it goes on."""
    where = seal_rows(connection, log, "cluster")[0]
    mark = break_between(last.cluster, last.timeline, **where) if last else FIRST
    if not mark:
        return []
    # In another cluster transactions count anew. What came over is sealed to its end first; the numbers of entries
    # tell the two apart, so nobody may take one in between.
    if last:
        seal_rows(connection, log, "still")
    made: list[Seal] = []
    while last and (made[-1].rows == PAGE if made else True):
        page = _page(connection, log, made[-1] if made else last, None, mark="the end of this history", where=where)
        if not page:
            break
        made += page
    first = made[-1] if made else last
    upto = seal_rows(connection, log, "last_id" if first else "last_id_before")[0]["last_id"]
    opening = Seal(
        n=first.n + 1 if first else 1,
        to_xid="0",
        last_id=0,
        rows=0,
        hashes=b"",
        previous=first.head if first else NO_HEAD,
        head=b"",
        epoch=first.epoch + 1 if first else 1,
        epoch_from=upto,
        mark=mark,
        sealed_at=_stamp(),
        **where,
    )
    return [*made, _with_head(opening)]


def _page(
    connection: Connection,
    log: Relation,
    last: Seal | None,
    horizon: str | None,
    *,
    mark: str = "",
    where: Facts | None = None,
) -> list[Seal]:
    """The next seal after another one, [] when there is nothing to seal. where: if it is sealed elsewhere than that."""
    assert last is not None  # noqa: S101 - a history has been opened
    found = seal_rows(connection, log, "batch", horizon=horizon, most=PAGE, **Place(last).after)[0]
    if not found["rows"]:
        return []
    made = replace(
        last,
        n=last.n + 1,
        to_xid=found["to_xid"],
        last_id=found["last_id"],
        rows=found["rows"],
        hashes=found["hashes"],
        previous=last.head,
        mark=mark,
        sealed_at=_stamp(),
        **(where or {}),
    )
    return [_with_head(made)]


def _stamp() -> str:
    return now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _with_head(one: Seal) -> Seal:
    return replace(one, head=head_of(one))


def _write(connection: Connection, log: Relation, one: Seal) -> None:
    seal_rows(connection, log, "seal", **asdict(one))
