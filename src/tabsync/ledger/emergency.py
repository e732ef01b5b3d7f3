"""The emergency journal: where a run is recorded while the ledger can't be written, full, locked or read-only.

Nothing is done without its intent on record. So the entries of a run that the ledger does not take go to a file in the
first place that takes it, and into the ledger as soon as it can be written again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import NotRecorded
from tabsync.kernel.step import Facts
from tabsync.ledger import chain
from tabsync.ledger.entries import onto

_PREFIX = "tabsync-emergency-"
_LOOSE = "loose-"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal has of one run. hashes: of its lines; number, after: how many were before, and the last one.

    broken: what is wrong with the files after these entries, "" when nothing is.
    """

    run_id: str
    entries: tuple[Facts, ...]
    files: tuple[Path, ...]
    hashes: tuple[str, ...] = ()
    number: int = 0
    after: str = chain.START
    broken: str = ""

    @property
    def last(self) -> str:
        """The hash of the last line."""
        return self.hashes[-1] if self.hashes else self.after

    def onto(self, run: Facts | None) -> Facts | None:
        """A run of the ledger, or none, with what the journal has of it besides."""
        for entry in self.entries:
            run = onto(run, entry)
        return run


@dataclass(slots=True)
class Emergency:
    """The journal of one ledger. places: directories, the first that can be written is used; of: which ledger.

    unrecorded: why somebody has what they do carried out even where none of these can be written, "" where nobody has.
    """

    places: tuple[Path, ...]
    of: str
    unrecorded: str = ""
    loose: str = field(default_factory=lambda: f"{_LOOSE}{secrets.token_hex(6)}")
    _spoken: dict[str, list[Facts]] = field(default_factory=dict, repr=False)
    _open: dict[str, chain.Chain] = field(default_factory=dict, repr=False)
    _looked: set[str] = field(default_factory=set, repr=False)

    def is_loose(self, run_id: str) -> bool:
        """Whether it stands for what belongs to no run, and so has no claim."""
        return run_id.startswith(_LOOSE)

    def has(self, run_id: str) -> bool:
        """Whether this process writes the entries of a run here: those that follow must come after them."""
        if run_id in self._open or run_id in self._spoken:
            return True
        if run_id in self._looked:
            return False
        self._looked.add(run_id)
        return run_id in self.runs()  # another process may have begun it, and its entries come first

    def append(self, run_id: str, entry: Facts, *, harmless: bool = True) -> None:
        """Write an entry down. Raises NotRecorded when none of the places can be written.

        harmless: what is written down destroys nothing, so it may go on then: the entry is printed, to be kept. Raises
        chain.Taken when another process has taken the file into the ledger meanwhile.
        """
        if run_id in self._spoken:
            self._speak(run_id, entry)
            return
        writing = self._open.get(run_id)
        if writing is not None:
            try:
                writing.append(entry)
            except OSError:
                pass  # its disk is full by now; what is cut off at its end is left out by who reads
            else:
                return
            writing.close()
        last, count = self._end_of(run_id)
        failed = []
        for place in self.places:
            try:
                fresh = self._created(place, run_id, last, count)
                fresh.append(entry)
            except OSError as error:
                failed.append(f"{place}: {error.strerror}")
                continue
            self._open[run_id] = fresh
            sys.stderr.write(f"note: the ledger can't be written; this is recorded in {fresh.path}\n")
            return
        if harmless or self.unrecorded:
            self._speak(run_id, entry)
            return
        raise NotRecorded(
            f"neither the ledger nor the emergency journal can be written: {'; '.join(failed)}",
            "make room on one of these disks, or name another place: journal in [emergency]; or --unrecorded WHY",
        )

    def runs(self) -> dict[str, Kept]:
        """What the files of this ledger have, by run."""
        found: dict[str, list[chain.Read]] = {}
        for path in self._files():
            one = chain.read(path)
            if one is None or not one.entries:
                continue
            header = one.entries[0][1]
            if header.get("do") == "of" and header.get("ledger") == self.of:
                found.setdefault(str(header["run_id"]), []).append(one)
        kept = {run_id: _joined(run_id, reads) for run_id, reads in found.items()}
        for run_id, entries in self._spoken.items():  # of this process alone: another can't go on with it
            before = kept.get(run_id, Kept(run_id, (), ()))
            names = tuple(f"{self.loose}:{number}" for number in range(len(entries)))
            kept[run_id] = replace(before, entries=(*before.entries, *entries), hashes=(*before.hashes, *names))
        return kept

    def let_go(self, run_id: str) -> None:
        """This process writes no more of a run for now: others may, and take it into the ledger."""
        writing = self._open.pop(run_id, None)
        if writing is not None:
            writing.close()
        self._looked.discard(run_id)

    def forget(self, kept: Kept) -> None:
        """Delete the files of a run, whose entries are in the ledger."""
        self.let_go(kept.run_id)
        for path in kept.files:
            with contextlib.suppress(OSError):
                path.unlink()

    def _speak(self, run_id: str, entry: Facts) -> None:
        """Print what should have been recorded, for whoever can keep it."""
        told = {"unrecorded": self.unrecorded or "nothing could be written", "run": run_id, "at": iso(now())}
        sys.stderr.write(json.dumps(told | {"entry": entry}) + "\n")
        sys.stderr.flush()
        self._spoken.setdefault(run_id, []).append(entry)

    def _end_of(self, run_id: str) -> tuple[str, int]:
        kept = self.runs().get(run_id)
        return (kept.last, kept.number + len(kept.entries)) if kept else (chain.START, 0)

    def _created(self, place: Path, run_id: str, last: str, count: int) -> chain.Chain:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = chain.create(place / f"{_PREFIX}{run_id}.{secrets.token_hex(4)}")
        try:
            fresh.append({"do": "of", "ledger": self.of, "run_id": run_id, "after": last, "from": count})
        except BaseException:
            fresh.close()
            with contextlib.suppress(OSError):
                fresh.path.unlink()
            raise
        return fresh

    def _files(self) -> Iterator[Path]:
        for place in dict.fromkeys(self.places):
            with contextlib.suppress(OSError):
                yield from sorted(one for one in place.iterdir() if one.name.startswith(_PREFIX))


def places_for(home: Path, configured: str = "") -> tuple[Path, ...]:
    """Where the journal may be: the place that is configured, the account's state folder, our home, temporary files.

    Nothing is tried out here: tempfile.gettempdir() writes a file, and fails where all disks are full.
    """
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "tabsync"
    named = (Path(configured).expanduser(),) if configured else ()
    return (*named, state, home, Path(os.environ.get("TMPDIR") or "/tmp"))  # noqa: S108 - O_EXCL, and only our own is read


def of_ledger(url: str, home: Path) -> str:
    """Which ledger a file is of: two homes of one account share a state folder."""
    return hashlib.sha256(f"{url}\n{home.absolute()}".encode()).hexdigest()[:32]


def _joined(run_id: str, reads: Sequence[chain.Read]) -> Kept:
    """The files of one run in their order: each names how many entries were before it, and the last of them.

    Those before the first may be in the ledger already: who takes the files into it checks that.
    """
    reads = sorted(reads, key=lambda one: int(one.entries[0][1]["from"]))
    first = reads[0].entries[0][1]
    number, after = int(first["from"]), str(first["after"])
    found: list[tuple[str, Facts]] = []
    broken = ""
    for one in reads:
        header = one.entries[0][1]
        if header["from"] != number + len(found) or header["after"] != (found[-1][0] if found else after):
            broken = broken or f"{one.path} does not follow what is before it"
            continue
        found += one.entries[1:]
        broken = broken or (f"{one.path}: {one.broken}" if one.broken else "")
    hashes, entries = tuple(one for one, _ in found), tuple(one for _, one in found)
    return Kept(run_id, entries, tuple(one.path for one in reads), hashes, number, after, broken)
