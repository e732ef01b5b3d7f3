"""What other hosts proved: their signed proofs are read from the store now and then, and count in this ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tabsync.backups.shared_proofs import read_proofs
from tabsync.kernel.errors import TabsyncError
from tabsync.workspace import Workspace

EVERY = 300.0
"""Seconds between two looks."""


@dataclass(slots=True)
class Elsewhere:
    """Looks into the store, in a thread of its own: a store that doesn't answer holds nothing up.

    trouble: why the last look failed, "" when it didn't.
    """

    workspace: Workspace
    say: Callable[[str], None]
    trouble: str = ""
    _next: float = 0.0
    _thread: threading.Thread | None = field(default=None, repr=False)

    def look(self, *, wait: bool = False) -> None:
        """Look, if it is time and somebody's proofs are trusted. wait: until it is done."""
        if not self.workspace.keys.trusted or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, name="proofs", daemon=True)
            self._thread.start()
        if wait:
            self._thread.join(EVERY)

    def _read(self) -> None:
        try:
            count = read_proofs(self.workspace)
        except (TabsyncError, OSError) as error:
            self.trouble = f"proofs of other hosts can't be read: {getattr(error, 'fact', error)}"
            return
        self.trouble = ""
        if count:
            self.say(f"{count} proofs of other hosts were read" if count > 1 else "a proof of another host was read")
