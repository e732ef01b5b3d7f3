"""What one may ask of rows that come back from the audit log: as of when, of which transaction, by whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from tabsync.audit.reading.moments import moment_of
from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.step import Facts

AUDIT, NEAREST = "audit", "nearest"
_XID = re.compile(r"[1-9][0-9]{0,19}")
_XIDS = 2**64


@dataclass(frozen=True, slots=True)
class Asked:
    """The bounds of a question to the audit log, "" for one that isn't given.

    as_of: a moment, ISO; transaction: a number as the log has it (xid8); by: an actor, a role or an application;
    secrets_from: the backup that has the columns which the log hides.
    """

    as_of: str = ""
    transaction: str = ""
    by: str = ""
    secrets_from: str = ""

    @property
    def bounded(self) -> bool:
        """Whether it chooses rows without a condition."""
        return bool(self.as_of or self.transaction or self.by)

    @property
    def given(self) -> bool:
        """Whether anything is said that only the audit log knows."""
        return self.bounded or bool(self.secrets_from)

    def to_json(self) -> Facts:
        """As the argument of a step."""
        return asdict(self)

    @property
    def state(self) -> str:
        """Which state of the rows it is, in words."""
        if self.as_of:
            return f"as they were at {local_text(self.as_of)}"
        if self.transaction:
            return f"as they were before transaction {self.transaction}"
        return "as they were just before their last DELETE"

    def words(self) -> list[str]:
        """The options that say it."""
        given = {"--as-of": self.as_of, "--transaction": self.transaction, "--by": self.by}
        given["--secrets-from"] = self.secrets_from
        return [word for name, value in given.items() if value for word in (name, value)]


NOTHING = Asked()


def asked_of(
    as_of: str | None = None, transaction: str | None = None, by: str | None = None, secrets_from: str | None = None
) -> Asked:
    """The question that options make. Raises BadUsage for a moment or a number that is none, or two states at once."""
    if as_of and transaction:
        raise BadUsage("--as-of and --transaction are two states", "give one of them")
    if transaction and not (_XID.fullmatch(transaction) and int(transaction) < _XIDS):
        raise BadUsage(f"{transaction!r} is no transaction", "its number, as tabsync audit show ID tells it")
    return Asked(_moment(as_of) if as_of else "", transaction or "", by or "", secrets_from or "")


def check_not_empty(given: Mapping[str, str | None]) -> None:
    """See that no option was given with nothing in it, as of a shell's variable that isn't set. Raises BadUsage."""
    for name, value in given.items():
        if value is not None and not value.strip():
            raise BadUsage(f"{name} is empty: which rows are meant is not known", "give it a value, or leave it out")


def local_text(moment: str) -> str:
    """A moment as people read it, in the local time zone."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _moment(text: str) -> str:
    moment = moment_of(text, "--as-of")
    if moment > now():
        raise BadUsage(f"{local_text(moment.isoformat())} is in the future", "give a time from before the damage")
    return moment.isoformat()
