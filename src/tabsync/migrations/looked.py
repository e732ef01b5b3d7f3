"""What `tabsync migration status` has seen, before it is a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from tabsync.kernel.step import Facts
from tabsync.migrations.drift import Drift
from tabsync.migrations.histories.history import History
from tabsync.migrations.histories.masked import masked
from tabsync.migrations.there import Seen
from tabsync.postgres.catalog import Relation


@dataclass(slots=True)
class Looked:
    """All that was seen. failed, begun, asked: by the migration, each of its statements; odd: what is no history.

    lockless: the tools that take no lock; unsupported: tables of a tool that is not read; guarded: the session that
    holds the lock of the guard, as a deployment runs.
    """

    histories: list[History]
    failed: dict[str, list[Seen]]
    begun: dict[str, list[Seen]] = field(default_factory=dict)
    asked: dict[str, list[Seen]] = field(default_factory=dict)
    locks: list[Facts] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)
    lockless: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    unsupported: list[Relation] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    guarded: Facts | None = None

    def to_json(self) -> Facts:
        """It for programs."""
        statements = {name: _statements(getattr(self, name)) for name in ("failed", "begun", "asked")}
        return statements | {
            "migration": next(iter([*self.failed, *self.begun]), None),
            "histories": [one.to_json() for one in self.histories],
            "locks": self.locks,
            "lockless": self.lockless,
            "odd": self.odd,
            "unsupported": [{"tool": "Prisma 8", "table": str(one)} for one in self.unsupported],
            "drift": [one.to_json() for one in self.drifts],
            "guarded": self.guarded,
        }


def _statements(found: dict[str, list[Seen]]) -> dict[str, list[Facts]]:
    return {
        name: [one.to_json() | {"statement": masked(one.statement.text)} for one in seen]
        for name, seen in found.items()
    }
