"""What the ledger knows of the schedule: manuals in force, proofs, runs, marks; and how it gets there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync import __version__
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_audit, add_evidence
from tabsync.ledger.open import Ledger
from tabsync.manual.model import Manual
from tabsync.schedule.evidence import UNTOLD, Evidence
from tabsync.schedule.expected import Version
from tabsync.schedule.items import Item, item_from_json, items_of
from tabsync.schedule.judge import Attempt, Mark, Record
from tabsync.schedule.services import services

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


_IDENTITY = "identity"
_EVER = "9999"  # after every moment, as the ledger has them
_SLACK = timedelta(days=1)  # evidence of a run is looked for from before it was due


def versions(ledger: Ledger) -> list[Version]:
    """The manuals that were in force, in order."""
    found: list[Version] = []
    for row in ledger.read("manual_versions"):
        items = tuple(item_from_json(one) for one in row["items"])
        at = parse_iso(row["at"])
        # A clock that was set back must not put an edit before the manual that it edits.
        at = max(at, found[-1].at) if found else at
        found.append(Version(at, row["digest"], items, row["program"], row["subject"]))
    return found


def put_in_force(ledger: Ledger, manual: Manual, subject: str, at: datetime | None = None) -> Version | None:
    """Record that a manual is in force from now on; None when it already is.

    subject: whose evidence counts, see stores.manifest.subject_of; "" while that isn't known.
    """
    from sqlalchemy import insert

    from tabsync.ledger.tables import manual_version

    known = versions(ledger)
    last = known[-1] if known else None
    items = items_of(manual)
    if last and (last.digest, last.program) == (manual.digest, __version__) and subject in ("", UNTOLD, last.subject):
        return None
    before = {one.key for one in last.items if one.built} if last else set()
    fresh = [one.key not in before and not one.is_task and not one.is_gate for one in items]
    marked = [
        replace(one, first=new and one.built and not _ever_done(ledger, one, manual, subject))
        for one, new in zip(items, fresh, strict=True)
    ]
    moment = at or now()
    row = {"at": iso(moment), "digest": manual.digest, "program": __version__, "subject": subject}
    with ledger.writing() as connection:
        connection.execute(insert(manual_version), [row | {"items": [one.to_json() for one in marked]}])
    return Version(moment, manual.digest, tuple(marked), __version__, subject)


def _ever_done(ledger: Ledger, item: Item, manual: Manual, subject: str) -> bool:
    if item.when.kind == "continuous":
        return True
    return any(proof.counts for proof in Evidence(ledger, manual, subject, "").of_each([item]).get(item.key, ()))


def records(ledger: Ledger, items: Iterable[Item], manual: Manual, subject: str, since: datetime) -> dict[str, Record]:
    """All that is on record of some items since a moment, by their keys."""
    start = iso(since - _SLACK)
    wanted = {item.key: item for item in items}
    silent = silent_services(ledger)
    spans = [(key, start, _EVER) for key in wanted]
    attempts = dict(zip(wanted, attempts_of(ledger, spans, silent), strict=True))
    # A clock that was set back while it ran: what it left is older than its beginning, and than its end.
    ran = (one for found in attempts.values() for one in found.values())
    ends = (one.ended - _SLACK for one in ran if one.ended and one.ended < one.started)
    proofs = Evidence(ledger, manual, subject, min([start, *map(iso, ends)])).of_each(wanted.values())
    marks = marks_by_item(ledger)
    return {key: Record(proofs.get(key, ()), attempts[key], marks.get(key, ())) for key in wanted}


def silent_services(ledger: Ledger) -> set[str]:
    """The names of the services that nothing was heard of lately: what runs there is unknown."""
    moment = now()
    return {one.name for one in services(ledger) if one.is_silent(moment)}


def attempts_of(
    ledger: Ledger, spans: Sequence[tuple[str, str, str]], silent: Collection[str]
) -> list[dict[datetime, Attempt]]:
    """The runs of some items, by when they were due. spans: the keys of items, each with since <= due < until."""
    values = [{"item": key, "since": since, "until": until} for key, since, until in spans]
    return [
        {parse_iso(row["due"]): attempt_of(row, silent) for row in rows}
        for rows in ledger.read_each("occurrences_of", values)
    ]


def marks_by_item(ledger: Ledger) -> dict[str, list[Mark]]:
    """All that people ever said, by the items' keys."""
    found: dict[str, list[Mark]] = {}
    approvals = ledger.read("approvals")
    for row in [*approvals, *(one for one in ledger.read("marks", since="") if one["kind"] != "approve")]:
        found.setdefault(row["item"], []).append(_mark(row))
    return found


def attempt_of(row: Facts, silent: Collection[str] = ()) -> Attempt:
    """A run of an occurrence, from its row."""
    return Attempt(
        state=row["state"],
        started=parse_iso(row["started_at"]),
        ended=parse_iso(row["ended_at"]) if row["ended_at"] else None,
        exit=row["exit"],
        fact=row["fact"],
        run_id=row["run_id"],
        tries=row["tries"],
        retry_at=parse_iso(row["retry_at"]) if row["retry_at"] else None,
        host=row["host"],
        silent=row["service"] in silent,
    )


def _mark(row: Facts) -> Mark:
    due = parse_iso(row["due"]) if row["due"] else None
    return Mark(row["kind"], parse_iso(row["at"]), row["who"], row["note"], due, row["digest"])


def add_mark(
    ledger: Ledger, kind: str, item: Item, who: str, note: str, due: datetime | None = None, at: datetime | None = None
) -> None:
    """Record what a person said of an item, or of one of its occurrences; it stands in the audit too."""
    from sqlalchemy import insert

    from tabsync.ledger.tables import mark

    row = {
        "at": iso(at or now()),
        "kind": kind,
        "item": item.key,
        "due": iso(due) if due else None,
        "who": who,
        "note": note,
        "digest": item.text_digest if kind == "approve" else "",
    }
    with ledger.writing() as connection:
        connection.execute(insert(mark), [row])
    add_audit(ledger, who, f"schedule {kind}", item.name, {"item": item.key, "due": row["due"], "note": note})


def ask_subject(workspace: Workspace) -> str:
    """Whose backups these are, as the database says, and on record from then on; "" when it can't be asked now.

    Raises Refused when another home keeps this ledger, of another database.
    """
    import psycopg

    from tabsync.kernel.errors import Refused, TabsyncError
    from tabsync.postgres import catalog
    from tabsync.postgres.conninfo import place
    from tabsync.stores.manifest import subject_of

    try:
        with workspace.connect("schedule") as connection:
            subject = subject_of(catalog.identity(connection))
    except (TabsyncError, psycopg.Error):
        return ""
    ledger = workspace.ledger()
    others = [one for one in _identities(ledger) if one["facts"]["home"] not in ("", ledger.here["home"])]
    if others and subject not in [one["subject"] for one in others]:
        raise Refused(
            f"the ledger is that of another database, {others[-1]['facts']['place']}",
            "give each database a ledger of its own: ledger in tabsync.toml",
        )
    if known_subject(workspace) != subject:
        facts = {"place": place(workspace.conninfo), "home": ledger.here["home"]}
        add_evidence(ledger, _IDENTITY, subject, ok=True, facts=facts)
    return subject


def known_subject(workspace: Workspace) -> str:
    """Whose evidence counts, without asking: what the database said that the settings name now.

    UNTOLD when they named another one when it was asked, "" when none ever was.
    """
    from tabsync.postgres.conninfo import place

    found, here = _identities(workspace.ledger()), place(workspace.conninfo)
    mine = [str(one["subject"]) for one in found if one["facts"]["place"] == here]
    return mine[-1] if mine else UNTOLD if found else ""


def _identities(ledger: Ledger) -> list[Facts]:
    return ledger.read("evidence_from", kind=_IDENTITY, since="")


def all_items(found: Sequence[Version]) -> list[Item]:
    """Each item that ever was, as it was last."""
    last = {item.key: item for version in found for item in version.items}
    return list(last.values())
