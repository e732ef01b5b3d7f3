"""A run as a process of its own, that outlives whoever started it: begun, looked at, ended.

A job has a directory. Its lock is taken before the process is started, and the process inherits it: from then on the
kernel says whether it lives. Its exit code comes by rename, so it is there or it isn't. Who starts again after a crash
finds each job as one of: still running, ended with a code, died, never begun.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.step import Facts
from tabsync.system.boot import boot_id
from tabsync.system.claims import MARK, Claim, claim, end_marked, is_claimed, is_marked

DIRECTORY = "TABSYNC_JOB"
"""Environment variable that names the directory of the job that a process is."""

PROGRAM = "tabsync.cli.job"
"""The module that is run for a job."""

_OUTPUT = 20_000  # bytes of it that are kept, the last ones
_ROOM = 16_384  # bytes for an exit code and its reason
_LONGEST_FACT = 2_000  # characters of it; each may take six bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended. exit: None when it left no code; again: whether the same may work later; begun: whether it did
    anything at all."""

    exit: int | None
    fact: str
    at: datetime | None
    again: bool = False
    begun: bool = True
    approval: bool = False


def new_job(directory: Path, job: Facts) -> Claim:
    """Make a job's directory, with its lock taken; nothing runs yet. Raises FileExistsError when it is somebody's."""
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not is_claimed(directory):
        shutil.rmtree(directory, ignore_errors=True)
    held = claim(directory)
    if held is None:
        raise FileExistsError(directory)
    since = {"boot": boot_id(), "at": time.monotonic()}
    try:
        directory.chmod(0o700)
        (directory / "job.json").write_text(json.dumps(job | {"since": since}), encoding="utf-8")
    except BaseException:
        held.remove()  # its disk is full: a lock that stayed would be a run that never ends
        raise
    return held


def by_hand(place: Path, item: str) -> Path:
    """The directory of the run of an item that a person started. place: where all are; item: its key."""
    return place / f"by-hand-{hashlib.sha256(item.encode()).hexdigest()[:16]}"  # its name moves when the manual does


def begin(directory: Path, held: Claim, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the process of a job, which takes the lock over."""
    lock = held.fileno()
    try:
        with (directory / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
                env={**os.environ, **environment, MARK: str(directory), DIRECTORY: str(directory)},
            )
    finally:
        held.release()


def look(directory: Path) -> Ended | None:
    """How a job ended; None while it runs."""
    code = directory / "exit.json"
    if not code.exists() and is_claimed(directory):
        return None
    # Looked for once more: it may have written its code and gone between the two.
    with contextlib.suppress(OSError, ValueError, KeyError):
        found = json.loads(code.read_text(encoding="utf-8"))
        return Ended(
            found["exit"], found["fact"], parse_iso(found["at"]), found["again"], True, found.get("approval", False)
        )
    if not (directory / "job.json").exists():
        # Somebody deleted it, with the lock that a living process holds: nothing shows any more that it wasn't begun.
        return None if is_marked(directory) else Ended(None, "its directory was deleted, and its process is gone", None)
    if not (directory / "begun").exists():
        return Ended(None, "it was not started", None, again=True, begun=False)
    return Ended(None, "its process died", None)


def seconds_since(directory: Path) -> float | None:
    """How long ago a job was made, whatever the clock was set to meanwhile; None for one of before the last boot."""
    try:
        since = json.loads((directory / "job.json").read_text(encoding="utf-8"))["since"]
    except (OSError, ValueError, KeyError):
        return None
    return time.monotonic() - float(since["at"]) if since["boot"] and since["boot"] == boot_id() else None


def output_of(directory: Path) -> str:
    """The end of what a job printed."""
    try:
        with (directory / "output").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _OUTPUT))
            return file.read().decode(errors="replace").replace("\x00", "")
    except OSError:
        return ""


def run_of(directory: Path) -> str:
    """The id of the run that a job made in the ledger, or ""."""
    try:
        return (directory / "run").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def interrupt(directory: Path) -> None:
    """Ask a job to end, as Ctrl-C does."""
    for pid in _pids(directory):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGINT)


def kill(directory: Path) -> None:
    """End a job and what it started."""
    end_marked(directory)


def remove(directory: Path) -> None:
    """Delete what is left of a job that ended."""
    shutil.rmtree(directory, ignore_errors=True)


def take_place(directory: Path) -> None:
    """Say, as the process of a job, that it begins. Raises OSError when the disk has no room even for its exit code:
    then nothing was begun, and the same may be tried again."""
    begun = directory / "begun"
    try:
        with _writing(directory).open("wb") as file:
            file.write(os.urandom(_ROOM))  # nothing that the file system could store in less
            file.flush()
            os.fsync(file.fileno())
        (directory / "run").write_text(" " * 64)  # see ledger.journal
        begun.write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            begun.unlink()
        raise


def write_exit(directory: Path, content: Facts) -> None:
    """Leave the exit code of this process's job: in the room that was taken for it, so a full disk doesn't hide it."""
    pending = _writing(directory)
    text = json.dumps(content | {"fact": str(content["fact"])[:_LONGEST_FACT]}).encode()
    with pending.open("r+b" if pending.exists() else "wb") as file:
        file.write(text.ljust(_ROOM))
        file.flush()
        os.fsync(file.fileno())
    pending.replace(directory / "exit.json")


def _writing(directory: Path) -> Path:
    return directory / "exit.json.writing"


def _pids(directory: Path) -> Sequence[int]:
    """The process of the job itself: what it started for itself it ends itself."""
    try:
        pid = int((directory / "begun").read_text())
    except (OSError, ValueError):
        return ()
    return [pid] if f"{MARK}={directory}" in _environment(pid) else []  # a pid is given out again


def _environment(pid: int) -> Iterator[str] | tuple[str, ...]:
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
        return tuple(one.decode(errors="replace") for one in content.split(b"\x00"))
    except OSError:
        pass
    import psutil  # where there is no /proc

    try:
        return tuple(f"{name}={value}" for name, value in psutil.Process(pid).environ().items())
    except (psutil.Error, OSError):
        return ()
