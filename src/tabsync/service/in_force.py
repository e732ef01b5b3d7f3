"""The manual that is in force: as the file is now, or, while that can't be followed, as it was when it last could."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tabsync.kernel.errors import TabsyncError
from tabsync.manual.model import Manual
from tabsync.schedule.evidence import UNTOLD
from tabsync.schedule.expected import Version
from tabsync.schedule.items import Item
from tabsync.schedule.record import ask_subject, known_subject, put_in_force, versions
from tabsync.service.troubles import Troubles
from tabsync.workspace import Workspace

_ASK_AGAIN = 60.0  # seconds until the database is asked again whose backups these are


@dataclass(slots=True)
class InForce:
    """Follows the manual of a workspace. manual: the last one that could be followed; None before the first."""

    workspace: Workspace
    troubles: Troubles
    manual: Manual | None = None
    _seen: tuple[int, int] | None = None
    _ask_again: float = 0.0

    def versions(self) -> list[Version]:
        """The manuals that were in force."""
        return versions(self.workspace.ledger())

    def items(self) -> Sequence[Item]:
        """The items of the one that is."""
        found = self.versions()
        return found[-1].items if found else ()

    def follow(self) -> bool:
        """Read the manual, if it was changed; whether another one is in force now."""
        path = self.workspace.manual_path
        try:
            stat = path.stat()
        except OSError as error:
            self.troubles.note("manual", f"the manual can't be read: {error.strerror}")
            self._seen = None
            return False
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen == self._seen and not self._subject_is_due():
            return False
        from tabsync.manual.load import read

        self._seen = seen
        try:
            manual, problems = read(path)
        except TabsyncError as error:
            self.troubles.note("manual", error.fact)
            return False
        self.troubles.note("manual", f"the manual is not valid: {problems[0].described(path.name)}" if problems else "")
        if problems and (self.manual is not None or self.versions()):
            return False
        self.manual = manual
        self._ask_again = time.monotonic() + _ASK_AGAIN
        self._seen = None  # until it is on record: a ledger that can't be written now is tried again
        subject = ask_subject(self.workspace) or known_subject(self.workspace)
        fresh = put_in_force(self.workspace.ledger(), manual, subject)
        self._seen = seen
        return fresh is not None

    def ask(self) -> None:
        """Ask the database whose backups these are, if that isn't known: also of a service that stands by."""
        if time.monotonic() >= self._ask_again and known_subject(self.workspace) in ("", UNTOLD):
            self._ask_again = time.monotonic() + _ASK_AGAIN
            ask_subject(self.workspace)

    def _subject_is_due(self) -> bool:
        """Whether the database has to be asked whose backups these are: it was down so far."""
        if self.manual is None or time.monotonic() < self._ask_again:
            return False
        found = self.versions()
        self._ask_again = time.monotonic() + _ASK_AGAIN
        return bool(found) and known_subject(self.workspace) in ("", UNTOLD)
