"""The record of a run that people go through step by step: it is open while no step runs, and outlives who began it.

Who carries a step out holds the run's claim meanwhile, so two can't do it at once, and the death of one shows.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from tabsync.kernel.clock import compact, iso, now
from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts
from tabsync.ledger import entries
from tabsync.ledger.journal import LedgerJournal
from tabsync.ledger.open import Ledger
from tabsync.ledger.runs import one_run, recent_runs
from tabsync.ledger.stop import STOP
from tabsync.system.claims import Claim, claim, is_claimed

_PATIENCE = 30.0  # seconds for whoever has a run to let go of it
_WHO = "who"


@dataclass(slots=True)
class Guided:
    """Where the steps of an open run are written down. actor: in whose name."""

    ledger: Ledger
    actor: str
    manual_digest: str

    def begin(self, plan: Plan) -> tuple[str, Claim]:
        """Record a run that people will go through; returns its id and the claim to it."""
        moment = now()
        run_id = f"{compact(moment)}-{secrets.token_hex(3)}"
        held = claim(self.ledger.claims / run_id)
        if held is None:
            raise RuntimeError(f"run {run_id} is already in use")  # ids are random: this can't be a user's doing
        self._sign(run_id)
        journal = LedgerJournal(self.ledger, self.actor, self.manual_digest)
        entry = journal.begins(run_id, plan, "each step for itself", moment)
        self.ledger.write(run_id, entry | {"run": entry["run"] | {"state": "open"}})
        return run_id, held

    def let_go(self, run_id: str, held: Claim) -> None:
        """Give the claim to a run up: anybody may take it up now."""
        self.ledger.emergency.let_go(run_id)
        held.remove()

    def read(self, run_id: str) -> Facts:
        """The run with its steps. run_id: "latest" is the newest that is open. Raises BadUsage when there is none."""
        if run_id == "latest":
            newest = next((one for one in recent_runs(self.ledger, 1000) if one["state"] == "open"), None)
            if newest is None:
                raise BadUsage("no runbook is being run", "to start one: tabsync runbook run NAME")
            run_id = newest["id"]
        found = one_run(self.ledger, run_id)
        if found is None:
            raise BadUsage(f"there is no run {run_id!r}", "tabsync run list")
        return found

    def take(self, run_id: str, *, over: bool = False) -> Claim:
        """Claim a run in order to carry its steps out; a step that a dead process left is marked as interrupted.

        over: ask whoever has it to end. Raises Refused when somebody has it, NotAllowed when it is another user's.
        """
        place = self.ledger.claims / run_id
        held = claim(place)
        if held is None and over:
            held = self._taken_over(run_id)
        if held is None:
            raise Refused(
                f"{self.who_has(run_id)} is carrying this run out",
                f"to watch: tabsync run show {run_id}; to take over: tabsync runbook resume {run_id} --take-over",
            )
        self._sign(run_id)
        for step in self.read(run_id)["steps"]:
            if step["state"] == "running":
                self._check_place(run_id, step, over=over)
                self.ledger.write(run_id, entries.step(run_id, step["number"], state="interrupted"))
        return held

    def is_held(self, run_id: str) -> bool:
        """Whether somebody carries a run out just now, as far as is known here."""
        return is_claimed(self.ledger.claims / run_id)

    def who_has(self, run_id: str) -> str:
        """Who carries a run out just now."""
        return self._has(run_id)[0] or "somebody"

    def start(self, run_id: str, number: int, facts: Facts) -> None:
        """Record the intent to carry a step out."""
        here = {"by": self.actor, "host": socket.gethostname()}
        entry = entries.step(run_id, number, state="running", started_at=iso(now()), facts=facts | here)
        self.ledger.write(run_id, entry)

    def leave(
        self, run_id: str, number: int, state: str, facts: Facts, seconds: float = 0.0, fact: str = "", hint: str = ""
    ) -> None:
        """Record what came of a step. state: done, failed, skipped."""
        values = {"facts": facts | {"by": self.actor}, "seconds": seconds, "fact": fact or None, "hint": hint or None}
        self.ledger.write(run_id, entries.step(run_id, number, state=state, **values))

    def end(self, run_id: str, state: str, facts: Facts) -> None:
        """Record the end of the run: done, failed, or stopped. facts: what came of it; they go to its target."""
        target = self.read(run_id)["target"] | facts
        self.ledger.write(run_id, entries.end(run_id, state=state, target=target, finished_at=iso(now())))

    def _sign(self, run_id: str) -> None:
        threaded = threading.current_thread() is not threading.main_thread()
        with suppress(OSError):
            text = f"{self.actor}\n{0 if threaded else os.getpid()}"
            (self.ledger.claims / run_id / _WHO).write_text(text, encoding="utf-8")

    def _check_place(self, run_id: str, step: Facts, *, over: bool) -> None:
        """On another host nobody's claim can be seen from here: only a person can say that it died."""
        host = (step["facts"] or {}).get("host", "")
        if host != socket.gethostname() and not over:
            raise Refused(
                f"step {step['number']} was begun by {(step['facts'] or {}).get('by', 'somebody')} on {host}",
                f"if it does not run there any more: tabsync runbook resume {run_id} --take-over",
            )

    def _taken_over(self, run_id: str) -> Claim | None:
        _, pid = self._has(run_id)
        try:
            if pid:
                os.kill(pid, signal.SIGTERM)  # it unwinds as from Ctrl-C; its lock says that the pid is its own
            else:  # a thread of the console, which looks for this
                (self.ledger.claims / run_id / STOP).write_text(self.actor, encoding="utf-8")
        except (ProcessLookupError, FileNotFoundError):
            pass  # it ended just now
        except PermissionError:
            raise NotAllowed(f"this run is of another user's process {pid}", "ask as that user") from None
        until = time.monotonic() + _PATIENCE
        held = None
        while held is None and time.monotonic() < until:
            held = claim(self.ledger.claims / run_id)
            time.sleep(0.05)
        return held

    def _has(self, run_id: str) -> tuple[str, int]:
        try:
            who, _, pid = (self.ledger.claims / run_id / _WHO).read_text(encoding="utf-8").partition("\n")
            return who, int(pid or 0)
        except (OSError, ValueError):
            return "", 0
