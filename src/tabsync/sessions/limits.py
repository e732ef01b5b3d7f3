"""Connection limits that we have set for a while: on record in the ledger, with what was before."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import local, now, parse_iso
from tabsync.kernel.errors import TabsyncError
from tabsync.kernel.step import Facts
from tabsync.ledger.evidence import add_evidence, evidence_since

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

KIND = "connection limit"
"""The kind of evidence; its subject is the role."""

_GRACE = timedelta(minutes=1)  # the service undoes it within seconds
_RECENT = 500  # entries of the ledger to look through
_IN_FORCE = "in force"


@dataclass(frozen=True, slots=True)
class Limited:
    """A role's limit for a while.

    oid: of the role, which may be renamed; server: host and port, as we reach it; system_identifier: of its cluster,
    None where it may not be read; before: what the limit was, -1 for none; until: ISO; ours: other limits that we have
    set since; found: the limit that somebody else has set, as far as we have seen it.
    """

    role: str
    oid: int
    server: str
    system_identifier: str | None
    limit: int
    before: int
    until: str
    ours: tuple[int, ...] = ()
    found: int | None = None

    def is_at(self, server: str, system_identifier: str | None) -> bool:
        """Whether it is of a cluster, which has several names; where not both are known, its address tells."""
        if self.system_identifier and system_identifier:
            return self.system_identifier == system_identifier
        return self.server == server

    def is_same(self, other: Limited) -> bool:
        """Whether both are of one role of one cluster."""
        return self.oid == other.oid and self.is_at(other.server, other.system_identifier)

    def is_ours(self, limit: int) -> bool:
        """Whether a limit that the role has is one that we have set, or the one of before."""
        return limit in (self.limit, self.before, *self.ours)

    def is_over(self, moment: datetime) -> bool:
        """Whether it is to be undone."""
        return parse_iso(self.until) <= moment

    def is_overdue(self, moment: datetime) -> bool:
        """Whether it should have been undone by now."""
        return parse_iso(self.until) + _GRACE <= moment

    def told(self) -> str:
        """The limit in words."""
        if self.found is None:
            return f"{self.role} may have {self.limit} connections until {local(self.until)}"
        return (
            f"the connection limit of {self.role} is overdue: found {told(self.found)}, ours was {self.limit} until "
            f"{local(self.until)}; settle it: {typed(self.role, '--undo')}, which sets "
            f"{told(self.before)}, or --keep, which leaves it"
        )


def typed(role: str, *words: str) -> str:
    """The command for a role as one types it in a shell, whatever its name is."""
    name = role if role.isprintable() else "ROLE"
    options, values = [one for one in words if one.startswith("--")], [one for one in words if not one.startswith("--")]
    order = [*options, "--", name, *values] if name.startswith("-") else [name, *values, *options]
    return shlex.join(["tabsync", "connections", "limit", *order])


def told(limit: int) -> str:
    """A limit in words; it is -1 where there is none."""
    return "no limit" if limit < 0 else f"a limit of {limit}"


def begin(workspace: Workspace, one: Limited, run_id: str | None = None) -> None:
    """Record a limit before it is set: whatever happens then, it is undone."""
    facts = asdict(one) | {"state": _IN_FORCE}
    add_evidence(workspace.record(), KIND, one.role, ok=False, facts=facts, run_id=run_id)


def over(workspace: Workspace, one: Limited, why: str, run_id: str) -> None:
    """Record that a limit is in force no more. why: "undone", "not set", "the role is gone", "kept"."""
    add_evidence(workspace.record(), KIND, one.role, ok=True, facts=asdict(one) | {"state": why}, run_id=run_id)


def in_force(workspace: Workspace) -> list[Limited]:
    """The limits that we have set and not undone, on all servers of the ledger and of the emergency journal.

    Of several records of one role of one cluster the newest counts, whatever its name was then.
    """
    seen: list[Limited] = []
    found: list[Limited] = []
    for facts in _records(workspace):
        one = limited_from_json(facts)
        if not any(one.is_same(other) for other in seen):
            seen.append(one)
            found += [one] if facts["state"] == _IN_FORCE else []
    return found


def to_undo(workspace: Workspace) -> list[Limited]:
    """Those whose time is over, on any server: only the server itself says whether it is the same one."""
    moment = now()
    return [one for one in in_force(workspace) if one.is_over(moment)]


def limited_from_json(facts: Facts) -> Limited:
    """A limit as it is on record."""
    given = {name: facts[name] for name in Limited.__dataclass_fields__}
    return Limited(**given | {"ours": tuple(given["ours"])})


def _records(workspace: Workspace) -> Sequence[Facts]:
    """What is on record, the newest first. What the journal has comes into the ledger later."""
    ledger = workspace.record()
    try:
        rows = evidence_since(ledger, KIND, limit=_RECENT)
    except TabsyncError:
        rows = []
    for kept in ledger.emergency.runs().values():
        said = [entry["row"] for entry in kept.entries if entry["do"] == "say" and entry["table"] == "evidence"]
        rows = [*(row for row in reversed(said) if row["kind"] == KIND), *rows]
    newest = sorted(rows, key=lambda row: str(row["at"]), reverse=True)
    return [row["facts"] for row in newest if "oid" in row["facts"]]  # a day of builds recorded names alone
