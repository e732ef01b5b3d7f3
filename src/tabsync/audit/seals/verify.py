"""tabsync audit verify: whether the audit log is what was sealed; the first entry that isn't is named.

The hashes are computed anew from the entries, by PostgreSQL's own functions and none that is installed. The heads of
the chain are compared with those that are anchored outside: without them, who can change the log could compute a new
chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.audit.database.log import log_of, seal_rows
from tabsync.audit.seals.chain import NO_HEAD, Seal, entries, head_of
from tabsync.audit.seals.seal import EVIDENCE, Place
from tabsync.audit.seals.verify_file import plan_verify_file, show_verify_file
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Step, call
from tabsync.ledger.evidence import add_evidence, evidence_since
from tabsync.postgres.catalog import Relation, identity, prove_target
from tabsync.postgres.connect import Connection
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

VERIFIED = "audit verify"
_LIMITS = Limits(lock_timeout=2_000, statement_timeout=600_000, idle_in_transaction_timeout=0)
_SEALS = 20  # read at once: ten megabytes
_ANCHORS = 2_000  # of the ledger


@dataclass(frozen=True, slots=True)
class Verify:
    """What one may ask of audit verify. after: only entries of the seals after this one, and the whole chain."""

    after: Annotated[int, Option("Only the entries of the seals after this one.", minimum=0)] = 0
    file: Annotated[Path | None, Option("Instead of the database, a file that `audit export` has written.")] = None


@dataclass(slots=True)
class Work:
    """A verification at work. archived, erased: what is known to be gone or masked: hash by number of the entry."""

    connection: Connection
    log: Relation
    archived: dict[int, bytes] = field(default_factory=dict)
    erased: dict[int, list[Facts]] = field(default_factory=dict)
    ends: dict[int, int | None] = field(default_factory=dict)
    rows: int = 0
    seals: int = 0
    gone: int = 0
    masked: int = 0


def plan_verify(workspace: Workspace, request: Verify) -> Plan:
    """Plan to verify. Raises Refused when the log is not installed, BadUsage when there is no such file."""
    if request.file:
        return plan_verify_file(request.file)
    with workspace.connect("audit", _LIMITS) as connection:
        target = identity(connection)
        log = log_of(connection)
    step = Step(
        "verify",
        f"Verify {log} against its seals",
        call(verify, target=target, after=request.after),
        f"hash every sealed entry of {log} anew; compare the seals' heads with the ledger and the backups",
    )
    return Plan("audit verify", f"Verify the audit log of {target['database']}", (step,), target)


def show_verify(done: Done[Workspace, Verify]) -> Page:
    """The verdict, what it covers, and what it can't say."""
    if "verify_file" in done.results:
        return show_verify_file(done.results["verify_file"])
    facts = done.results.get("verify", {})
    page = Page("audit verify", facts)
    if facts["wrong"]:
        page.line(("THE AUDIT LOG WAS CHANGED", "strong bad"), f": {facts['wrong']}")
        page.exit_code = Exit.PROBLEM_FOUND
    elif not facts["seals"]:
        page.line(("NOTHING IS SEALED YET", "strong warning"), ": tabsync audit seal")
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        page.line(("THE AUDIT LOG IS AS IT WAS SEALED", "strong good"))
    page.line(
        f"{facts['rows']:,} entries in {facts['seals']:,} seals; heads of {facts['anchors']} are noted outside of it"
    )
    for mark in facts["marks"]:
        page.line(mark)
    for line in _unknown(facts):
        page.line((line, "warning"))
    return page


def _unknown(facts: Facts) -> Iterator[str]:
    if facts["before"]:
        yield f"unknown: {facts['before']:,} entries from before the first seal"
    if facts["since"]:
        yield f"unknown: {facts['since']:,} entries since the last seal"
    if facts["gone"]:
        yield f"{facts['gone']:,} entries are in the stores: their months were archived"
    if facts["masked"]:
        yield f"{facts['masked']:,} entries were masked on purpose (audit erase); each mark is sealed itself"
    if not facts["anchors"]:
        yield "no head is anchored outside of the database: a chain computed anew would not be found"


def verify(context: Context, *, target: Facts, after: int) -> Facts:
    """Hash all sealed entries anew, and compare. after: the entries of the seals up to this one are left out."""
    workspace = context.workspace
    subject = subject_of(target)
    anchors = [one["facts"] for one in evidence_since(workspace.ledger(), EVIDENCE, subject, limit=_ANCHORS)]
    anchors += [one.audit for one in workspace.store().manifests()[0] if one.subject == subject and one.audit]
    with workspace.connect("audit", _LIMITS) as connection:
        prove_target(connection, target)
        facts = verified(connection, anchors, after, context)
    good = not facts["wrong"]
    add_evidence(workspace.ledger(), VERIFIED, subject, ok=good, facts=facts, run_id=context.run_id)
    return facts


def verified(connection: Connection, anchors: Sequence[Facts], after: int = 0, context: Context | None = None) -> Facts:
    """The verdict, as facts: `wrong` is "" or names the first entry or seal that is not what it was."""
    log = log_of(connection)
    work = Work(connection, log)
    facts: Facts = {"anchors": len({(one["epoch"], one["n"]) for one in anchors}), "marks": [], "wrong": ""}
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        _known(work)
        last, chain_wrong = None, ""
        for previous, one in _pairs(work):
            wrong = _linked(previous, one) or _anchored(one, anchors)
            if not wrong and one.n > after and not one.opens:
                wrong = _compared(work, previous, one)
            work.seals += 1
            if one.mark and one.opens and previous:
                facts["marks"].append(f"seal {one.n}, {one.sealed_at}: {one.mark}")
                wrong = wrong or _closed(work, previous)
            if wrong:
                chain_wrong = wrong
                break
            last = one
            if context is not None:
                context.report(work.rows, 0, "entries")
        facts["wrong"] = chain_wrong or _cut(last, anchors, facts) or _without(work)
        counted = seal_rows(connection, log, "counted", **Place(last).after)[0]
    return facts | counted | {"rows": work.rows, "seals": work.seals, "gone": work.gone, "masked": work.masked}


def _known(work: Work) -> None:
    """What went to the stores, and what was masked on purpose."""
    if seal_rows(work.connection, work.log, "has_archives")[0]["there"]:
        for one in seal_rows(work.connection, work.log, "archived"):
            work.archived.update(entries(one["hashes"]))
    for one in seal_rows(work.connection, work.log, "erased"):
        work.erased.setdefault(one["id"], []).append(one)


def _pairs(work: Work) -> Iterator[tuple[Seal | None, Seal]]:
    """Each seal with the one before it."""
    previous: Seal | None = None
    while True:
        page = seal_rows(work.connection, work.log, "seals", after=previous.n if previous else 0, most=_SEALS)
        for row in page:
            one = Seal(**row)
            yield previous, one
            previous = one
        if len(page) < _SEALS:
            return


def _linked(previous: Seal | None, one: Seal) -> str:
    """What is wrong with a seal's place in the chain."""
    expected = (previous.n if previous else 0) + 1
    if one.n != expected:
        return f"seal {expected} is missing"
    if one.previous != (previous.head if previous else NO_HEAD):
        return f"seal {one.n} doesn't follow on the seal before it"
    if one.head != head_of(one) or len(one.hashes) != one.rows * 24:
        return f"seal {one.n} was changed"
    return ""


def _anchored(one: Seal, anchors: Sequence[Facts]) -> str:
    for anchor in anchors:
        if anchor["n"] == one.n and anchor["head"] != one.head.hex() and anchor["epoch"] == one.epoch:
            return f"seal {one.n} is another one than was noted on {anchor['sealed_at']}: the chain was computed anew"
    return ""


def _cut(last: Seal | None, anchors: Sequence[Facts], facts: Facts) -> str:
    """Whether the chain ends before a head that was noted of it."""
    newest = max(anchors, key=lambda one: (one["epoch"], one["n"]), default=None)
    if newest is None or (last is not None and newest["n"] <= last.n):
        return ""
    if last is not None and last.epoch > newest["epoch"]:
        facts["marks"].append(f"seals up to {newest['n']} of an earlier history were lost at a restore")
        return ""
    there = f"ends with seal {last.n}" if last else "is empty"
    return f"seal {newest['n']} was noted on {newest['sealed_at']}, and the chain {there}: its end was cut off"


def _compared(work: Work, previous: Seal | None, one: Seal) -> str:
    """What is wrong with the entries of a seal, "" when they are what was sealed."""
    place = Place(previous if previous and previous.epoch == one.epoch else None).after | {"from_id": one.epoch_from}
    upto = {"to_xid": one.to_xid, "last_id": one.last_id, "until_id": _ends(work, one.epoch)}
    found = seal_rows(work.connection, work.log, "sealed_rows", **place, **upto)[0]["hashes"]
    work.rows += one.rows
    if found == one.hashes:
        return ""
    then, now = dict(entries(one.hashes)), dict(entries(found))
    for number in sorted(then.keys() | now.keys()):
        if wrong := _differs(work, one, number, then.get(number), now.get(number)):
            return wrong
    if [number for number in then if number in now] != list(now):
        return f"seal {one.n}: its entries are in another order than they were sealed in"
    return ""


def _differs(work: Work, one: Seal, number: int, then: bytes | None, now: bytes | None) -> str:
    """What happened to one entry of a seal, "" when it is in order."""
    if then == now:
        return ""
    if then is None:
        return f"{_told(work, number)} was added: seal {one.n} of {one.sealed_at} doesn't have it"
    if now is None and work.archived.get(number) == then:
        work.gone += 1
        return ""
    if now is None:
        moved = seal_rows(work.connection, work.log, "told_of", id=number)
        where = f"; it is there with transaction {moved[0]['xid']}" if moved else ""
        how = "was moved to another transaction" if moved else "was removed"
        return f"entry {number} {how}: seal {one.n} of {one.sealed_at} has it{where}"
    if _masked(work, number, then, now):
        work.masked += 1
        return ""
    return f"{_told(work, number)} was changed after it was sealed on {one.sealed_at} (seal {one.n})"


def _masked(work: Work, number: int, then: bytes, now: bytes) -> bool:
    """Whether the marks of audit erase lead from the one hash to the other."""
    at = then
    for mark in work.erased.get(number, ()):
        if mark["was"] == at.hex():
            at = bytes.fromhex(mark["now"])
    return at == now


def _closed(work: Work, last: Seal) -> str:
    """An entry with a number of a history that has ended, which its seals don't have."""
    beyond = seal_rows(work.connection, work.log, "beyond", until_id=_ends(work, last.epoch), **Place(last).after)
    return f"{_told(work, beyond[0]['id'])} was added to a history that had ended" if beyond else ""


def _without(work: Work) -> str:
    """An entry that is made to look as if it was from before the install, or the other way round."""
    first = _ends(work, 0)
    found = seal_rows(work.connection, work.log, "without_transaction", first=first) if first is not None else []
    return f"{_told(work, found[0]['id'])} was added: it has no place in any seal" if found else ""


def _ends(work: Work, epoch: int) -> int | None:
    """The last number of an epoch's entries, None while it goes on."""
    if epoch not in work.ends:
        work.ends[epoch] = seal_rows(work.connection, work.log, "epoch_ends", epoch=epoch)[0]["until_id"]
    return work.ends[epoch]


def _told(work: Work, number: int) -> str:
    """An entry, so that a person can find it."""
    found = seal_rows(work.connection, work.log, "told_of", id=number)
    if not found:
        return f"entry {number}"
    one = found[0]
    what = f"{one['action']} of {one['table_name'] or one['entity_type']} {one['entity_id']}"
    return f"entry {number} ({what}, {one['created_at']})"
