"""The loop of wal receive: keeps pg_receivewal running, the store filled, and says so when either can't be."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

from tabsync.backups.wal.names import SEGMENT, segment_named
from tabsync.backups.wal.spool import Spool
from tabsync.backups.wal.trouble import Retry, Trouble, Troubles, no_room, of_store
from tabsync.backups.wal.upstream import Options, Upstream
from tabsync.kernel.clock import iso
from tabsync.kernel.errors import FailedPartway, TabsyncError
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes
from tabsync.ledger.evidence import add_evidence
from tabsync.postgres.connect import program_environment
from tabsync.stores.manifest import subject_of
from tabsync.system.child import Child, child

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_TICK = 0.2  # seconds
_EVIDENCE = 60.0  # seconds between two entries in the ledger while nothing changes
_IDLE = 60.0  # between two marks of the open segment while nothing is written
_ONCE = 120.0  # seconds in which a single round has to catch up


class Receiver:
    """One run of wal receive. Used as a context: what it started is ended with it."""

    def __init__(
        self,
        workspace: Workspace,
        context: Context,
        spool: Spool,
        command: list[str],
        options: Options,
        target: Facts,
        last: str,
    ) -> None:
        self._workspace, self._context, self._spool = workspace, context, spool
        self._command, self._options, self._target = command, options, target
        self._child_stack = ExitStack()
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._child: Child | None = None
        self._troubles = Troubles()
        self._upstream = Upstream(workspace, options, self._troubles, self._end_child)
        self._round: Future[int] | None = None
        self._server, self._store = Retry(), Retry()
        self._stored: datetime | None = None  # committed by then: in the store
        self._flushed = -1  # a WAL position
        self._next_flush = self._next_evidence = self._last_mark = 0.0
        self._segments, self._full = 0, False
        self._last = last  # the last whole segment in the store
        self._sent = ""  # the last segment that went from here into the store
        self._said: tuple[str, ...] = ()
        self._recorded = False

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self._child_stack.close()
        self._pool.shutdown(cancel_futures=True)
        self._upstream.close()

    def run(self, *, once: bool) -> None:
        """Go on until interrupted; once: until all that there was at the beginning is in the store.

        Raises FailedPartway when the slot was dropped because it kept too much, or when one round didn't catch up.
        """
        begun, wanted = time.monotonic(), None
        while True:
            if self._upstream.ask():
                self._server.worked()
                self._troubles.note("server", None)
            self._receive()
            self._send()
            self._tell()
            if once:
                wanted = wanted or self._upstream.covered
                if wanted is not None or self._stuck():
                    self.stop()
                    self._troubles.raise_first()
                    return
                if time.monotonic() - begun > _ONCE:
                    self._troubles.raise_first()
                    raise FailedPartway(
                        "receiving did not reach the server's current WAL position within two minutes",
                        "tabsync wal status",
                    )
            time.sleep(_TICK)

    def stop(self) -> None:
        """End pg_receivewal in order and store what it has written."""
        self._end_child()
        self._collect(wait=True)
        self._submit()
        self._collect(wait=True)
        self._next_evidence = 0.0
        self._tell()

    def facts(self) -> Facts:
        """What was done: segments stored, the moment until when everything is in the store, what is wrong."""
        return {
            "segments": self._segments,
            "until": iso(self._stored) if self._stored else None,
            "waiting_bytes": self._spool.bytes(),
            "troubles": self._troubles.facts,
        }

    def _receive(self) -> None:
        """Keep pg_receivewal running, unless too much waits for the store."""
        waiting = self._spool.bytes()
        if not self._full and waiting > self._options.budget:
            self._full = True
            self._end_child()
        elif self._full and waiting <= self._options.budget // 2:
            self._full = False
        kept = f"{human_bytes(waiting)} of WAL wait here: the server must keep the rest, and its disk fills up"
        self._troubles.note("budget", Trouble(kept) if self._full else None)
        if self._child is not None and not self._child.running():
            told = f"the server's WAL can't be received: {_words(self._child.ended().complaint())}"
            self._end_child()
            self._spool.drop_short(self._upstream.size)
            if not self._cramped():
                self._troubles.note("server", Trouble(told))
                self._server.failed()
        cramped = self._cramped()
        if self._child is None and not self._full and self._server.due() and not cramped and self._ready():
            env = program_environment(self._workspace.conninfo, "wal")
            started = child(self._command, env=env, claim=self._spool.directory)
            self._child = self._child_stack.enter_context(started)

    def _cramped(self) -> bool:
        """Whether the next segment has no room here; the one that is open has its own already."""
        place = self._spool.directory
        trouble = None if self._spool.open_segment() else no_room(place, self._upstream.size)
        if trouble or no_room(place, 2 * self._upstream.size) is None:  # on the verge of it, it is no news
            self._troubles.note("disk", trouble)
        return trouble is not None

    def _ready(self) -> bool:
        """See that pg_receivewal begins where it can; False when that can't be done now."""
        if not self._upstream.timeline:
            return True  # the server can't be asked: let it say so itself
        try:
            self._spool.leave_other_timelines(self._upstream.timeline)
        except (TabsyncError, OSError) as error:
            self._server.failed()
            self._troubles.note("store", of_store(error, self._spool.store))
            return False
        self._confirm()
        return True

    def _confirm(self) -> None:
        """Tell the server what the store has, before pg_receivewal asks it where to begin.

        It dies without telling when it has no room for the next segment, and would receive the same ones for ever.
        """
        if self._sent and not self._spool.finished():
            size = self._upstream.size
            self._upstream.advance((segment_named(self._sent, size).number + 1) * size)

    def _stuck(self) -> bool:
        """Whether there is no room to receive, and storing what is here won't make any."""
        waiting = "store" in self._troubles or not self._spool.finished()
        return "disk" in self._troubles and self._child is None and waiting

    def _end_child(self) -> None:
        if self._child is not None and self._child.running():
            self._child.interrupt(timeout=10)
        self._child_stack.close()
        self._child = None

    def _send(self) -> None:
        """Let the store have what is finished, and the open segment when it is time."""
        self._collect(wait=False)
        if self._round is not None or not self._store.due():
            return
        due = time.monotonic() >= self._next_flush and self._upstream.covered is not None
        idle = self._upstream.written == self._flushed and time.monotonic() < self._last_mark + _IDLE
        if (due and not idle) or self._spool.finished():
            self._submit()

    def _submit(self) -> None:
        # Half of what may be lost: the other half is for the time that storing takes.
        self._next_flush = time.monotonic() + self._options.flush / 2
        covered, written, size = self._upstream.covered, self._upstream.written, self._upstream.size

        def send() -> int:
            sent = 0
            for path in self._spool.finished():
                self._spool.send(path)
                if SEGMENT.fullmatch(path.name):
                    self._last = self._sent = path.name
                sent += 1
            if covered is not None and self._spool.flush(covered, self._before(written), size) is not None:
                self._stored, self._flushed, self._last_mark = covered, written, time.monotonic()
            return sent

        self._round = self._pool.submit(send)

    def _before(self, written: int) -> str:
        """The last whole segment, if the server's WAL ended with it when it was written to a position; "" else."""
        if self._last and self._upstream.size:
            last = segment_named(self._last, self._upstream.size)
            if last.timeline == self._upstream.timeline and written <= (last.number + 1) * self._upstream.size:
                return self._last
        return ""

    def _collect(self, *, wait: bool) -> None:
        if self._round is None or not (wait or self._round.done()):
            return
        try:
            self._segments += self._round.result()
            self._store.worked()
            self._troubles.note("store", None)
        except (TabsyncError, OSError) as error:
            self._store.failed()
            self._troubles.note("store", of_store(error, self._spool.store))
        finally:
            self._round = None

    def _tell(self) -> None:
        """Say what changed, and put it into the ledger, which is what others see of us."""
        said = self._troubles.kinds
        first = self._stored is not None and not self._recorded  # whoever looks after a start waits for it
        if said == self._said and time.monotonic() < self._next_evidence and not first:
            return
        self._next_evidence = time.monotonic() + _EVIDENCE
        line = f"all WAL until {self._stored.astimezone():%H:%M:%S} is stored" if self._stored else "starting"
        line = self._troubles.words or line
        self._context.report(self._segments, self._segments, line)
        if said != self._said or self._stored:
            self._record(ok=not said)
            self._recorded = self._stored is not None
        self._said = said

    def _record(self, *, ok: bool) -> None:
        facts = self.facts() | {"slot": self._options.slot, "problems": self._troubles.to_json()}
        try:
            ledger, run_id = self._workspace.ledger(), self._context.run_id
            add_evidence(ledger, "wal", subject_of(self._target), ok=ok, facts=facts, run_id=run_id)
            self._troubles.note("ledger", None)
        except TabsyncError as error:  # its disk may be the one that storing WAL makes room on
            self._troubles.note("ledger", Trouble(error.fact))


def _words(complaint: str) -> str:
    return complaint.removeprefix("pg_receivewal: ").removeprefix("error: ")
