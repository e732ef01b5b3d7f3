"""What a copy has otherwise than its backup: object by object, and as the errors that carry every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tabsync.kernel.errors import FailedPartway, ProblemFound
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation, quoted

_SHOWN = 5
"""Objects that the sentence names; the report has all of them."""


_AS_IT_STANDS = ("ACL", "CAST", "COMMENT", "SECURITY LABEL", "TRANSFORM")
_IN_SCHEMA = (
    *("AGGREGATE", "FUNCTION", "PROCEDURE", "OPERATOR"),
    *("CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "DEFAULT"),
)
"""Kinds whose name is more than an identifier: it has arguments, or begins with the table's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that differs. kind: "rows", "table", "index", ... as pg_dump calls them, lower case; what: how it
    differs, "" where its name says enough."""

    kind: str
    schema: str
    name: str
    what: str = ""

    def __str__(self) -> str:
        one = called(self.kind.upper(), self.schema, self.name) if self.name else ""
        kind = "rows of table" if self.kind == "rows" else self.kind
        return " ".join(part for part in (kind, one, self.what) if part)

    def to_json(self) -> Facts:
        """The object as JSON."""
        return asdict(self)


class NotTheSame(ProblemFound):
    """A check of a copy ran to its end and found differences. differences: all of them."""

    def __init__(self, fact: str, differences: Sequence[Difference], hint: str) -> None:
        super().__init__(f"{fact}: {listed(differences)}", hint)
        self.differences = tuple(differences)


class NotWhole(FailedPartway):
    """What was restored is not what the dump holds. differences: all of them."""

    def __init__(self, differences: Sequence[Difference], hint: str) -> None:
        super().__init__(f"the restore is not complete: {listed(differences)}", hint)
        self.differences = tuple(differences)


class NotRestored(ProblemFound):
    """A backup doesn't restore. differences: every entry that failed, with its error."""

    def __init__(self, fact: str, differences: Sequence[Difference], hint: str) -> None:
        super().__init__(fact, hint)
        self.differences = tuple(differences)


def called(kind: str, schema: str, name: str) -> str:
    """An object of a dump as a person would name it; kind: as pg_dump calls it."""
    if kind in _AS_IT_STANDS:
        return name
    if kind in _IN_SCHEMA and schema:
        return f"{quoted(schema)}.{name}"
    return str(Relation(schema, name)) if schema else quoted(name or "-")


def listed(differences: Sequence[Difference]) -> str:
    """The first few in one line, and how many more there are."""
    more = len(differences) - _SHOWN
    return "; ".join(map(str, differences[:_SHOWN])) + (f"; and {more} more" if more > 0 else "")


def differences_of(error: BaseException | None) -> list[Facts]:
    """Every object that an error names, as JSON; [] when it is about something else."""
    found: Sequence[Difference] = getattr(error, "differences", ())
    return [one.to_json() for one in found]
