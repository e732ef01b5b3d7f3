"""Gives a recovering server its WAL: the server's restore_command asks, and this process brings it out of the store.

The server runs under an account that can reach neither our store nor our keys, so nothing of them is in its
configuration or environment: a shell script writes down which file it wants and waits. Files are fetched a few ahead.
"""

from __future__ import annotations

import shlex
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tabsync.backups.wal.archive import fetch
from tabsync.backups.wal.names import SEGMENT, Segment, segment_named
from tabsync.stores.store import Store
from tabsync.system.account import Account

_AHEAD = 4  # segments
_POLL = 0.01  # seconds

_SCRIPT = """#!/bin/sh
# restore_command of a cluster that TabSync recovers: sh fetch.sh FILE TARGET
cd {spool} || exit 255
asked=$1.$$ target={data}/$2
test -e closed && exit 1
: > "want/$asked" || exit 255
tries=0
while test $tries -lt 60000; do
  if test -e "got/$asked"; then rm -f "want/$asked"; mv "got/$asked" "$target"; exit $?; fi
  if test -e "none/$asked"; then rm -f "want/$asked" "none/$asked"; exit 1; fi
  test -e closed && exit 1
  test -e failed && exit 255
  sleep 0.01
  tries=$((tries + 1))
done
exit 255
"""
# The server may ask for the same file twice in a blink: each question has a name of its own, by the script's pid.


@dataclass
class Feeder:
    """Serves one recovering cluster; used as a context. served: files that were given; error: what stopped it."""

    store: Store
    system_identifier: str
    directory: Path
    account: Account
    size: int
    served: int = 0
    error: Exception | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _fetching: dict[str, Future[bool]] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)

    @property
    def spool(self) -> Path:
        """Where the server and we meet."""
        return self.directory / "wal"

    def __enter__(self) -> Feeder:
        for name in ("want", "got", "none", "ahead"):
            (self.spool / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("closed", "failed"):
            (self.spool / name).unlink(missing_ok=True)
        self.account.own(self.spool)
        self.spool.chmod(0o755)
        self._pool = ThreadPoolExecutor(max_workers=_AHEAD)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        (self.spool / "closed").touch()  # from here on, the store has nothing more
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        for kept in (self.spool / "ahead").iterdir():
            kept.unlink()

    def _serve(self) -> None:
        while not self._stop.wait(_POLL):
            try:
                wanted = {path.name for path in (self.spool / "want").iterdir()}
                self._answered &= wanted
                for asked in wanted - self._answered:
                    self._answer(asked, asked.rpartition(".")[0])
            except Exception as error:  # noqa: BLE001 - whatever it is, the server must not wait for ever
                self.error = error
                (self.spool / "failed").touch()
                return

    def _answer(self, asked: str, name: str) -> None:
        future = self._fetching.get(name) or self._begin(name)
        if SEGMENT.fullmatch(name):
            first = segment_named(name, self.size)
            for number in range(first.number + 1, first.number + _AHEAD):
                self._begin(Segment(first.timeline, number).name(self.size))
        if not future.done():
            return
        del self._fetching[name]
        if future.result():
            fetched = self.spool / "ahead" / name
            self.account.own(fetched)
            fetched.rename(self.spool / "got" / asked)
            self.served += 1
        else:
            (self.spool / "none" / asked).touch()
        self._answered.add(asked)

    def _begin(self, name: str) -> Future[bool]:
        if name not in self._fetching:
            target = self.spool / "ahead" / name
            self._fetching[name] = self._pool.submit(
                fetch, self.store, self.system_identifier, name, target, partial=True
            )
        return self._fetching[name]


def restore_command(directory: Path) -> str:
    """Write the script; the restore_command that runs it."""
    script = directory / "fetch.sh"
    places = {"spool": shlex.quote(str(directory / "wal")), "data": shlex.quote(str(directory / "data"))}
    script.write_text(_SCRIPT.format(**places))
    script.chmod(0o755)
    return f"/bin/sh {shlex.quote(str(script)).replace('%', '%%')} %f %p"
