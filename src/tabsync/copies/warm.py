"""Warm copies: the proven copy of a drill, kept stopped, so that rows and answers come back from it in a second.

servers/warm/<backup>/ is a scratch server's directory with its dump taken out and warm.json put in. It gets its place
by one rename, so it is there as a whole or not at all. There is one for each database: a newer one replaces it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.copies.restores.scratch import manifest_of, settings_for
from tabsync.kernel.clock import parse_iso
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres import embedded
from tabsync.system.account import server_account
from tabsync.system.claims import claim
from tabsync.system.programs import run_program

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_NOTE = "warm.json"
_VERSION = 1
_HERE = "tabsync.copies.warm"
_NOT_KEPT = ("dump", "again")


@dataclass(frozen=True, slots=True)
class Warm:
    """A warm copy. at: the moment of the backup's snapshot, ISO; subject: see stores.manifest.subject_of."""

    backup: str
    database: str
    subject: str
    at: str
    directory: Path

    @property
    def taken_at(self) -> datetime:
        """The moment that it shows."""
        return parse_iso(self.at)


def warm_copies(workspace: Workspace) -> list[Warm]:
    """The warm copies there are, the newest last."""
    found = []
    for note in _root(workspace).glob(f"*/{_NOTE}"):
        try:
            facts = json.loads(note.read_text())
            if facts.pop("version") == _VERSION:
                found.append(Warm(**facts, directory=note.parent))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it is being taken away, or of another version
    return sorted(found, key=lambda one: one.taken_at)


def warm_copy(workspace: Workspace, backup: str = "") -> Warm | None:
    """The warm copy of a backup, or the newest one."""
    found = [one for one in warm_copies(workspace) if backup in ("", one.backup)]
    return found[-1] if found else None


def keep_step(backup: str, scratch: str) -> Step:
    """The drill's step that keeps its copy when it was proven identical; it goes before the one that tidies."""
    return Step(
        "keep_warm",
        "Keep the copy, stopped",
        call(keep, backup=backup, scratch=scratch),
        "stop the scratch server and keep its directory as servers/warm/<backup>; an older copy is deleted",
        Risk.REVERSIBLE,
        "tabsync backup cool",
    )


def keep(context: Context, *, backup: str, scratch: str) -> Facts:
    """Stop the drill's server and give its directory a place among the warm copies."""
    workspace = context.workspace
    if context.results["record"]["content"] != "identical":
        return {"kept": False}
    directory = workspace.scratch(scratch)
    manifest = manifest_of(context, backup)
    server = embedded.opened(directory)
    embedded.stop(server)
    for name in _NOT_KEPT:
        shutil.rmtree(directory / name, ignore_errors=True)
    facts = {"backup": backup, "database": manifest.source["database"], "subject": manifest.subject}
    (directory / _NOTE).write_text(json.dumps(facts | {"at": manifest.snapshot["time"], "version": _VERSION}))
    _flush(server)
    place = _root(workspace) / backup
    place.parent.mkdir(mode=0o711, exist_ok=True)
    older = [one for one in warm_copies(workspace) if one.subject == manifest.subject]
    if place.exists():
        _remove(place)
    directory.rename(place)
    for one in older:
        if one.directory != place:
            _remove(one.directory)
    return {"kept": True, "directory": str(place)}


def start_step(copy: Warm) -> Step:
    """The step that starts a warm copy."""
    return Step(
        "warm",
        f"Start the warm copy of {copy.backup}",
        call(start, backup=copy.backup),
        f"pg_ctl start in {copy.directory}",
        Risk.REVERSIBLE,
        "it is stopped at the end",
        reads=(copy.backup,),
    )


def stop_step(copy: Warm) -> Step:
    """The step that stops it again, whatever happened."""
    return Step(
        "close",
        "Stop the warm copy",
        call(stop, backup=copy.backup),
        f"pg_ctl stop in {copy.directory}",
        Risk.REVERSIBLE,
        "no undo needed: the copy is kept",
        always=True,
    )


def start(context: Context, *, backup: str) -> Facts:
    """Claim a warm copy and start its server. Raises Refused when another process works with it."""
    workspace = context.workspace
    directory = _root(workspace) / backup
    if not (directory / _NOTE).exists():
        raise Refused(f"the warm copy of {backup} was deleted", "make another: tabsync drill --keep-warm")
    workspace.hold(directory, "release", f"the warm copy of {backup}", "wait until it ends: tabsync run list")
    embedded.start(embedded.opened(directory, settings=settings_for(workspace.jobs)))
    return {"directory": str(directory)}


def stop(context: Context, *, backup: str) -> Facts:
    """Stop its server and let go of it."""
    workspace = context.workspace
    directory = _root(workspace) / backup
    if workspace.holds(directory):
        embedded.stop(embedded.opened(directory))
        workspace.release(directory)
    return {}


def cool(context: Context, *, backup: str) -> Facts:
    """Delete a warm copy. Raises Refused when a process works with it."""
    directory = _root(context.workspace) / backup
    if not _remove(directory):
        raise Refused(f"a process is using the warm copy of {backup}", "wait until it ends: tabsync run list")
    return {"backup": backup}


def cool_pruned(workspace: Workspace, deleted: list[str]) -> list[str]:
    """Delete the warm copies of backups that were deleted: their rows have no more right to be here."""
    return [one.backup for one in warm_copies(workspace) if one.backup in deleted and _remove(one.directory)]


def _flush(server: embedded.Server) -> None:
    """Write a copy to disk: its server ran without fsync, and it is to survive the machine."""
    account = server_account()
    program = server.installation.server_bindir(account) / "initdb"
    done = run_program([program, "--sync-only", f"--pgdata={server.data}"], account=account, claim=server.directory)
    if done.code != 0:
        raise FailedPartway(
            f"the copy could not be written to disk: {done.complaint()}", "check the disk of its directory"
        )


def _root(workspace: Workspace) -> Path:
    return workspace.servers() / "warm"


def _remove(directory: Path) -> bool:
    held = claim(directory)
    if held is None:
        return False
    embedded.end_server(directory)
    # Its note goes first: a copy without one is none, whatever of it a kill leaves behind.
    (directory / _NOTE).unlink(missing_ok=True)
    held.remove()
    return True
