"""The verdict on an audit log: its entries hashed anew, its chain walked, both compared with what is known outside.

The hashes are computed by PostgreSQL's own functions and none that is installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from tabsync.audit.database.log import log_of, seal_rows
from tabsync.audit.seals.chain import ENTRY, NO_HEAD, Seal, entries, head_of
from tabsync.audit.seals.outside import Outside, digest_of
from tabsync.audit.seals.seal import Place
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection

if TYPE_CHECKING:
    from tabsync.workspace import Context

_SEALS = 20  # read at once: ten megabytes


@dataclass(slots=True)
class Work:
    """A verification at work.

    archived, erased: what is said to be gone or masked, by number of the entry, each with whether that is proven
    outside; unproven: how many entries are gone or masked by the word of the database alone.
    """

    connection: Connection
    log: Relation
    here: Facts
    archived: dict[int, tuple[bytes, bool]] = field(default_factory=dict)
    erased: dict[int, list[Facts]] = field(default_factory=dict)
    ends: dict[int, int | None] = field(default_factory=dict)
    rows: int = 0
    seals: int = 0
    gone: int = 0
    masked: int = 0
    unproven: int = 0
    place: tuple[str, int] | None = None
    lost: Facts | None = None


def verified(connection: Connection, outside: Outside, after: int = 0, context: Context | None = None) -> Facts:
    """The verdict, as facts: `wrong` is "" or names the first entry or seal that is not what it was."""
    log = log_of(connection)
    anchors = outside.heads
    facts: Facts = {"anchors": len({(one["epoch"], one["n"]) for one in anchors}), "marks": [], "wrong": ""}
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        work = Work(connection, log, seal_rows(connection, log, "cluster")[0])
        _known(work, outside)
        last, chain_wrong = None, ""
        for previous, one in _pairs(work):
            wrong = _linked(work, previous, one) or _anchored(work, one, anchors)
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
        facts["wrong"] = chain_wrong or _cut(work, last, anchors) or _without(work)
        if work.lost:
            told = f"seal {work.lost['n']} of {work.lost['sealed_at']} was noted before a restore or a failover"
            facts["marks"].append(f"{told}, and is not in this history: what was sealed from there on was lost")
        counted = seal_rows(connection, log, "counted", **Place(last).after)[0]
        table = log.identifier().as_string(connection)
        others = [one["name"] for one in seal_rows(connection, None, "not_sealed", log=table)]
    counts = {name: getattr(work, name) for name in ("rows", "seals", "gone", "masked", "unproven")}
    return facts | counted | counts | {"not_sealed": others}


def archives_of(connection: Connection, log: Relation) -> list[Facts]:
    """What is said to be in the stores."""
    there = seal_rows(connection, log, "has_archives")[0]["there"]
    return seal_rows(connection, log, "archived") if there else []


def _known(work: Work, outside: Outside) -> None:
    """What is said to have gone to the stores, and to have been masked on purpose; and whether that is proven."""
    for one in archives_of(work.connection, work.log):
        proven = outside.months.get(one["name"]) == sha256(one["hashes"]).hexdigest()
        work.archived.update((number, (hashed, proven)) for number, hashed in entries(one["hashes"]))
    marks = seal_rows(work.connection, work.log, "erased")
    if seal_rows(work.connection, work.log, "has_marks")[0]["there"]:
        marks += seal_rows(work.connection, work.log, "erased_before")
    erasures: dict[tuple[str, str], list[Facts]] = {}
    for one in marks:
        erasures.setdefault((one["xid"], one["at"]), []).append(one)
    for of_one in erasures.values():
        proven = digest_of(of_one) in outside.erasures
        for one in of_one:
            work.erased.setdefault(one["id"], []).append(one | {"proven": proven})


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


def _linked(work: Work, previous: Seal | None, one: Seal) -> str:
    """What is wrong with a seal's place in the chain."""
    expected = (previous.n if previous else 0) + 1
    if one.n != expected:
        return f"seal {expected} is missing"
    if one.previous != (previous.head if previous else NO_HEAD):
        return f"seal {one.n} doesn't follow on the seal before it"
    if one.head != head_of(one) or len(one.hashes) != one.rows * ENTRY:
        return f"seal {one.n} was changed"
    if one.opens and work.place == (one.cluster, one.timeline):
        return f"seal {one.n} begins a new history where nothing was restored"
    if one.opens or not one.mark:  # what closes a history was sealed where the next one begins
        work.place = one.cluster, one.timeline
    return ""


def _anchored(work: Work, one: Seal, anchors: Sequence[Facts]) -> str:
    """Whether a seal is another one than was noted. Where the database was restored since, both may be true."""
    for anchor in anchors:
        if anchor["n"] != one.n or anchor["head"] == one.head.hex():
            continue
        if _of_here(work, anchor) or _place(anchor) in ((one.cluster, one.timeline), None):
            return f"seal {one.n} is another one than was noted on {anchor['sealed_at']}: the chain was computed anew"
        _lost(work, anchor)
    return ""


def _place(anchor: Facts) -> tuple[str, int] | None:
    """Where a head was noted, None where an older version has noted it."""
    return (anchor["cluster"], anchor["timeline"]) if anchor.get("timeline") else None


def _of_here(work: Work, anchor: Facts) -> bool:
    """Whether a head was noted in this cluster on this timeline: since then, nothing can have been restored."""
    return _place(anchor) == (work.here["cluster"], work.here["timeline"])


def _lost(work: Work, anchor: Facts) -> None:
    """A seal that was noted in a history before a restore or a failover, and is not in this one."""
    if work.lost is None or (anchor["epoch"], anchor["n"]) > (work.lost["epoch"], work.lost["n"]):
        work.lost = anchor


def _cut(work: Work, last: Seal | None, anchors: Sequence[Facts]) -> str:
    """Whether the chain ends before a head that was noted of it."""
    for newest in sorted(anchors, key=lambda one: (one["epoch"], one["n"]), reverse=True):
        if last is not None and newest["n"] <= last.n:
            continue
        if _of_here(work, newest) or (_place(newest) is None and (last is None or last.epoch <= newest["epoch"])):
            there = f"ends with seal {last.n}" if last else "is empty"
            return f"seal {newest['n']} was noted on {newest['sealed_at']}, and the chain {there}: its end was cut off"
        _lost(work, newest)
    return ""


def _compared(work: Work, previous: Seal | None, one: Seal) -> str:
    """What is wrong with the entries of a seal, "" when they are what was sealed."""
    place = Place(previous if previous and previous.epoch == one.epoch else None).after | {"from_id": one.epoch_from}
    upto = {"to_xid": one.to_xid, "last_id": one.last_id, "until_id": _ends(work, one.epoch)}
    found = seal_rows(work.connection, work.log, "sealed_rows", **place, **upto)[0]["hashes"]
    work.rows += one.rows
    if found == one.hashes:
        return ""
    then, now = dict(entries(one.hashes)), dict(entries(found))
    if twice := [number for number, times in Counter(number for number, _ in entries(found)).items() if times > 1]:
        return f"{_told(work, twice[0])} is there twice: seal {one.n} of {one.sealed_at} has it once"
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
    archived, proven = work.archived.get(number, (None, False))
    if now is None and archived is not None and _led(work, number, then, archived):
        work.gone += 1
        work.unproven += not proven
        return ""
    if now is None:
        moved = seal_rows(work.connection, work.log, "told_of", id=number)
        where = f"; it is there with transaction {moved[0]['xid']}" if moved else ""
        how = "was moved to another transaction" if moved else "was removed"
        return f"entry {number} {how}: seal {one.n} of {one.sealed_at} has it{where}"
    if _led(work, number, then, now):
        work.masked += 1
        return ""
    return f"{_told(work, number)} was changed after it was sealed on {one.sealed_at} (seal {one.n})"


def _led(work: Work, number: int, then: bytes, now: bytes) -> bool:
    """Whether the one hash is the other, or marks of audit erase lead to it."""
    at, proven = then, True
    for mark in work.erased.get(number, ()):
        if mark["was"] == at.hex():
            at = bytes.fromhex(mark["now"])
            proven = proven and mark["proven"]
    work.unproven += at == now and not proven
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
