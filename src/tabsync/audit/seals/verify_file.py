"""tabsync audit verify --file: whether an exported file is what was sealed. It needs no database.

Each entry is hashed anew and looked for in the file's seals, the seals have to follow on each other, and their heads
are compared with those that were noted in the ledger and in the backups of the database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabsync.audit.seals.chain import ENTRY, Seal, entries, head_of
from tabsync.audit.seals.encoding import hash_of, read_json
from tabsync.audit.seals.outside import heads_of
from tabsync.kernel.clock import local
from tabsync.kernel.errors import BadUsage, Exit, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.ledger.evidence import evidence_since

if TYPE_CHECKING:
    from tabsync.workspace import Context

KIND, VERSION = "audit export", 2
"""What the first line of a file says. Version 1 had numbers as JSON readers like them, so it can't be hashed anew."""
EXPORTED = "audit export"
"""The evidence of an export: the file's SHA-256 among its facts."""

_EXPORTS = 2_000
_COUNTS = ("entries", "before", "seals", "proven", "masked", "absent", "noted", "wrong")
_UNREADABLE = (KeyError, ValueError, TypeError, ArithmeticError, AttributeError, RecursionError, binascii.Error)


@dataclass(slots=True)
class Read:
    """A file as far as it was read.

    anchors: heads by number of seal; open_: the hashes of entries that no seal had yet, by number; marks: what was
    masked on purpose, the hash before and after, by number.
    """

    anchors: dict[int, list[Facts]]
    open_: dict[str, str] = field(default_factory=dict)
    marks: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    last: Seal | None = None
    entries: int = 0
    before: int = 0
    seals: int = 0
    proven: int = 0
    masked: int = 0
    absent: int = 0
    noted: int = 0
    wrong: str = ""


def plan_verify_file(path: Path) -> Plan:
    """Plan to verify a file. Raises BadUsage when there is none."""
    if not path.is_file():
        raise BadUsage(f"{path} is no file", "name one that `tabsync audit export` has written")
    step = Step(
        "verify_file",
        f"Verify {path} against the seals in it",
        call(verify_file, file=str(path.absolute())),
        "hash every entry anew; compare the seals' heads with the ledger and the backups",
    )
    return Plan("audit verify", f"Verify the exported file {path.name}", (step,), {})


def show_verify_file(facts: Facts) -> Page:
    """The verdict, and what the file can't say."""
    page = Page("audit verify", facts)
    if facts["wrong"]:
        page.line(("THE FILE WAS CHANGED", "strong bad"), f": {facts['wrong']}")
        page.exit_code = Exit.PROBLEM_FOUND
    elif not facts["proven"]:
        page.line(
            ("NOTHING IN THE FILE IS PROVEN", "strong warning"), ": no entry of it was sealed when it was written"
        )
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        page.line(
            ("THE ENTRIES ARE AS THEY WERE SEALED", "strong good"), f": {facts['proven']:,} of {facts['entries']:,}"
        )
    page.line(f"{facts['log']} of {facts['subject']}, {local(facts['since'])} to {local(facts['until'])}", whole=True)
    if facts["exported_at"]:
        page.line(f"the whole file is as it was written on {local(facts['exported_at'])}, by this ledger")
    for line in _unknown(facts):
        page.line((line, "warning"))
    return page


def _unknown(facts: Facts) -> Iterator[str]:
    if facts["wrong"]:
        return
    if facts["before"]:
        yield f"unknown: {facts['before']:,} entries from before the install"
    if facts["masked"]:
        yield f"{facts['masked']:,} entries were masked on purpose (audit erase); the marks are in the file"
    if facts["unsealed"]:
        yield f"unknown: {facts['unsealed']:,} entries that were not sealed yet, or were added to the file"
    if not facts["exported_at"]:
        yield "this ledger doesn't know the file's SHA-256: that no entry was taken out is not proven"
        if facts["absent"]:
            yield f"{facts['absent']:,} entries of its seals are not in it: outside of its time, or taken out"
    if not facts["noted"]:
        yield "no head of its seals is noted in this ledger or a backup: a chain that was computed anew is not found"


def verify_file(context: Context, *, file: str) -> Facts:
    """Hash all entries of a file anew, and compare. Raises Refused when it is no export of this version."""
    workspace = context.workspace
    digest = hashlib.sha256()
    lines = _lines(Path(file), digest)
    head = _head(file, next(lines, ""))
    subject = str(head["subject"])
    read = _read(context, lines, heads_of(workspace, subject))
    for _ in lines:  # the digest is of all of it, also behind what is wrong
        pass
    known = evidence_since(workspace.ledger(), EXPORTED, subject, limit=_EXPORTS)
    exported = next((one["at"] for one in known if one["facts"].get("sha256") == digest.hexdigest()), "")
    told = {name: str(head[name]) for name in ("log", "subject", "since", "until")}
    counts = {name: getattr(read, name) for name in _COUNTS}
    return {**told, **counts, "unsealed": len(read.open_), "exported_at": exported, "sha256": digest.hexdigest()}


def _lines(path: Path, digest: Any) -> Iterator[str]:
    with path.open("rb") as source:
        for line in source:
            digest.update(line)
            yield line.decode(errors="surrogateescape")


def _head(file: str, line: str) -> Facts:
    try:
        head: Facts = read_json(line)
        kind, version = head["kind"], int(head["version"])
    except _UNREADABLE:
        kind, version = "", 0
    if kind != KIND:
        raise Refused(f"{file} is no file of `tabsync audit export`", "name one that it has written")
    if version != VERSION:
        raise Refused(f"{file} has version {version} of the format; this verifies {VERSION}", "export it again")
    return head


def _read(context: Context, lines: Iterator[str], anchors: Sequence[Facts]) -> Read:
    by_number: dict[int, list[Facts]] = {}
    for one in anchors:
        by_number.setdefault(one["n"], []).append(one)
    read = Read(by_number)
    for number, line in enumerate(lines, 2):
        try:
            found = read_json(line)
            if "entry" in found:
                read.wrong = _entry(read, found["entry"])
            else:
                read.wrong = _seal(read, seal_of(found["seal"]), whole="hashes" in found["seal"])
        except _UNREADABLE:
            read.wrong = f"line {number} can't be read"
        if read.wrong:
            break
        if number % 2_000 == 0:
            context.report(read.entries, 0, "entries")
    return read


def _entry(read: Read, entry: Facts) -> str:
    """What is wrong with an entry by itself."""
    if read.seals:
        return f"entry {entry['id']} stands behind a seal"
    read.entries += 1
    if entry["transaction"] is None:
        read.before += 1
        return ""
    found = hash_of(entry)
    if found != entry["hash"]:
        return f"entry {entry['id']} ({entry['action']} of {entry['entity']}, {entry['at']}) was changed"
    if str(entry["id"]) in read.open_:
        return f"entry {entry['id']} is there twice"
    read.open_[str(entry["id"])] = found
    if entry["action"] == "ERASE" and entry["origin"] == "function":
        mark = entry["new"]
        read.marks.setdefault(str(mark["id"]), []).append((mark["was"], mark["now"]))
    return ""


def _seal(read: Read, one: tuple[Seal, bytes], *, whole: bool) -> str:
    """What is wrong with a seal, its place in the chain, or an entry that it has."""
    seal, digest = one
    previous, read.last = read.last, seal
    read.seals += 1
    if previous and (seal.n != previous.n + 1 or seal.previous != previous.head):
        return f"seal {seal.n} doesn't follow on seal {previous.n}"
    if seal.head != head_of(seal, digest) or (whole and len(seal.hashes) != seal.rows * ENTRY):
        return f"seal {seal.n} was changed"
    for anchor in read.anchors.get(seal.n, ()):
        if anchor["epoch"] == seal.epoch:
            read.noted += 1
            if anchor["head"] != seal.head.hex():
                return f"seal {seal.n} is another one than was noted on {anchor['sealed_at']}"
    for number, hashed in entries(seal.hashes):
        found = read.open_.pop(str(number), None)
        if found is None:
            read.absent += 1
        elif found == hashed.hex():
            read.proven += 1
        elif _masked(read, number, hashed.hex(), found):
            read.masked += 1
        else:
            return f"entry {number} is not what was sealed on {seal.sealed_at} (seal {seal.n})"
    return ""


def _masked(read: Read, number: int, then: str, now: str) -> bool:
    """Whether marks in the file lead from the one hash to the other. They are entries, and proven like any."""
    at = then
    for was, became in read.marks.get(str(number), ()):
        if was == at:
            at = became
    return at == now


def seal_of(told: Facts) -> tuple[Seal, bytes]:
    """A seal as it stands in a file, with the digest of its hashes, which are there where one of the entries is."""
    plain = {key: value for key, value in told.items() if key not in ("hashes", "hashes_sha256")}
    hashes = base64.b64decode(told.get("hashes", ""), validate=True)
    digest = bytes.fromhex(told["hashes_sha256"])
    if "hashes" in told and hashlib.sha256(hashes).digest() != digest:
        raise ValueError("the hashes are not those of the digest")
    numbers = {key: int(plain[key]) for key in ("n", "last_id", "rows", "timeline", "epoch", "epoch_from")}
    heads = {key: bytes.fromhex(plain[key]) for key in ("previous", "head")}
    return Seal(**plain | numbers | heads | {"hashes": hashes}), digest
