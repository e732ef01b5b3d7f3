"""Stores the files of a dump while pg_dump is still at work: each one goes as soon as pg_dump has closed it.

So a dump for an object store needs room for the files that are open, and not for all of them. Never more is staged than
its largest files, one more than pg_dump has jobs, or as many and 64 MB: the kernel stops pg_dump when it begins a file
(system.gate), and it goes on when as much of closed files waits as the largest holds, or 64 MB. That holds however late
we look. Between two files pg_dump is stopped too when we see that more is staged than the two largest hold, so that it
is not more as a rule. A file that has to be compressed or encrypted by us is there twice while that is done.

What is sent before pg_dump fails is named by no manifest, and is collected later.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tabsync.stores.manifest import StoredFile
from tabsync.stores.store import Store
from tabsync.system.consume import room_of
from tabsync.system.gate import Gate

_LOOK_EVERY = 0.02  # seconds
_LOOK_AGAIN = 0.01  # seconds, while pg_dump waits
_ROOM = 64 << 20
"""Bytes of closed files that may wait however small they are: a stop costs more than it saves."""

_LARGE = 16 << 20
"""Bytes from which the line, and not the way there and back, decides how long a file takes."""

_DATA = re.compile(r"(?:\d+|blob_\d+)\.dat(?:\.zst)?")
"""Files that pg_dump opens once: when one is closed, it is finished. Its tables of contents are written to the end."""


@dataclass
class Sender:
    """Sends the files of one dump. finish: makes a closed file ready and gives what to store (compresses it)."""

    store: Store
    directory: Path
    finish: Callable[[Path], Path]
    most_staged: int = 0
    _sending: dict[Path, Future[StoredFile]] = field(default_factory=dict)
    _sizes: dict[Path, int] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _large: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> list[StoredFile]:
        """What was stored; complete when the block of watching() has ended."""
        return [future.result() for future in self._sending.values()]

    @contextlib.contextmanager
    def watching(self, process: Popen[str]) -> Iterator[None]:
        """Send what a running pg_dump closes until the block ends; then raise what kept us from it, if anything did."""
        failures: list[BaseException] = []

        def watch() -> None:
            try:
                self._watch(process.pid)
            except BaseException as error:  # noqa: BLE001 - the thread that waits for pg_dump raises it
                failures.append(error)
                process.kill()

        thread = threading.Thread(target=watch, name="sender", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if failures:
            raise failures[0]

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)  # pg_dump takes an empty one; the gate needs it

    def _watch(self, pg_dump: int) -> None:
        gate = Gate(self.directory, pg_dump)
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                while not self._ended.is_set():
                    gate.wait(_LOOK_AGAIN if gate.is_shut else _LOOK_EVERY)
                    gate.fell_shut()
                    for path in self._closed():
                        self._sending[path] = pool.submit(self._send, path)
                    self._hold(gate)
                    for future in self._sending.values():
                        if future.done():
                            future.result()
            finally:
                gate.close()

    def _hold(self, gate: Gate) -> None:
        """Shut the gate when too much is staged; open it when there is room for what would come."""
        full = self._is_full()
        if gate.is_shut and not full and self._waiting() <= max(_ROOM, *self._sizes.values(), 0):
            gate.open()
        elif full and not gate.is_shut:
            gate.shut()

    def _waiting(self) -> int:
        """Bytes on the disk of closed files that aren't sent yet."""
        waiting = 0
        for path, future in self._sending.items():
            with contextlib.suppress(FileNotFoundError):
                waiting += 0 if future.done() else room_of(path)
        return waiting

    def _closed(self) -> list[Path]:
        there = [path for path in self.directory.glob("*.dat*") if _DATA.fullmatch(path.name)]
        new = [path for path in there if path not in self._sending and path.with_suffix("") not in self._sending]
        closed = [path for path in new if _is_closed(path)]
        self._sizes.update((path, path.stat().st_size) for path in closed)
        return closed

    def _send(self, path: Path) -> StoredFile:
        path = self.finish(path)
        # Two large files that go side by side both keep their room until the end; one after the other, the first gives
        # its room back after half the time. To encrypt them takes longer than to send them, and both cores can do it.
        alone = path.stat().st_size > _LARGE and not self.store.keys.encrypting
        with self._large if alone else contextlib.nullcontext():
            return self.store.keep(path)

    def _is_full(self) -> bool:
        """Whether closed files wait and more is staged than the two largest files that were ever seen."""
        staged = 0
        for path in self.directory.glob("*"):
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                self._sizes[path] = max(size, self._sizes.get(path, 0))
                # Some file systems count the blocks of what is being written seconds later.
                staged += room_of(path) if path in self._sending else size
        self.most_staged = max(staged, self.most_staged)
        waiting = any(not future.done() for future in self._sending.values())
        # A little before it is too much: until it is looked at again, and stopped, pg_dump goes on.
        return waiting and staged > max(_ROOM, 0.96 * sum(sorted(self._sizes.values())[-2:]))


def _is_closed(path: Path) -> bool:
    """Whether nobody has a file open for writing any more, as the kernel itself knows it.

    It grants a lease for reading only then (https://man7.org/linux/man-pages/man2/fcntl.2.html, F_SETLEASE). Looking
    through /proc for who has it open is no substitute: a process that was forked meanwhile would be missed, and half a
    file be taken for a whole one. Where there are no leases, nothing is sent early.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):
        return False
    finally:
        os.close(fd)
    return True
