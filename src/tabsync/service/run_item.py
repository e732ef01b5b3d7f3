"""Starting an item by hand: now, as the service would, and waiting for it or not."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.schedule.items import Item
from tabsync.schedule.look import wake
from tabsync.service import jobs

if TYPE_CHECKING:
    from tabsync.workspace import Workspace


def run_item(
    workspace: Workspace, item: Item, subject: str, actor: str, on_line: Callable[[str], None] | None = None
) -> jobs.Ended:
    """Run an item's command as the service does, and wait for its end. on_line: what it prints, line by line.

    Raises BadUsage when it is a task or can't be done by this version, Refused when it runs already or has to be
    approved first.
    """
    process, directory = _begun(workspace, item, subject, actor)
    try:
        ended = _waited(process.poll, directory, on_line)
    except KeyboardInterrupt:
        jobs.interrupt(directory)
        ended = _waited(process.poll, directory, on_line)
    jobs.remove(directory)
    wake(workspace)
    return ended


def begin_item(workspace: Workspace, item: Item, subject: str, actor: str) -> None:
    """Start an item's command as the service does, and don't wait for it; the same errors as run_item()."""
    process, _ = _begun(workspace, item, subject, actor)
    # Somebody has to take its exit code, or it stays in the table of processes as long as this one lives.
    threading.Thread(target=_reap, args=(process, workspace), name="by-hand", daemon=True).start()


@dataclass(frozen=True, slots=True)
class ByHand:
    """A run of an item that a person started.

    since: when it was; run: its id in the ledger, "" while it has none; ended: how it ended, None while it runs.
    """

    since: datetime
    run: str
    ended: jobs.Ended | None


def started_by_hand(workspace: Workspace, items: Iterable[Item]) -> dict[str, ByHand]:
    """The newest run of each item that a person started, by the items' keys: those that run, and how others ended."""
    found = {}
    for item in items:
        directory = by_hand(workspace, item)
        try:
            since = datetime.fromtimestamp((directory / "job.json").stat().st_mtime, UTC)
        except OSError:
            continue
        found[item.key] = ByHand(since, jobs.run_of(directory), jobs.look(directory))
    return found


def _begun(workspace: Workspace, item: Item, subject: str, actor: str) -> tuple[subprocess.Popen[bytes], Path]:
    from tabsync.service.runs import environment_of, job_of

    if item.is_task:
        raise BadUsage(f"{item.name} is a task, which a person does", f"when it is done: schedule done {item.name}")
    if not item.built:
        raise BadUsage(item.cant_start, "tabsync schedule list")
    check_approved(workspace, item)
    directory = by_hand(workspace, item)
    try:
        held = jobs.new_job(directory, job_of(item, None, subject))
    except FileExistsError:
        raise Refused(f"{item.name} is running", "to see it: tabsync run list") from None
    try:
        _check_idle(workspace, item)
    except BaseException:
        held.remove()
        raise
    return jobs.begin(directory, held, environment_of(workspace, item) | {"TABSYNC_ACTOR": actor}), directory


def _check_idle(workspace: Workspace, item: Item) -> None:
    """Raises Refused when the service runs the item just now."""
    # By now the service sees that the item is taken, so it can't begin it after this look.
    if any(row["item"] == item.key for row in workspace.ledger().read("open_occurrences")):
        raise Refused(f"{item.name} is running, started by the schedule", "to see it: tabsync run list")


def check_approved(workspace: Workspace, item: Item) -> None:
    """Raises Refused when an item has to be approved and, as it stands now, isn't: it would run without a question."""
    if not item.approval:
        return
    marks = [one for one in workspace.ledger().read("approvals") if one["item"] == item.key]
    if not any(one["digest"] == item.text_digest for one in marks):
        raise Refused(f"{item.name} is not approved: {item.approval}", f"tabsync schedule approve {item.name}")


def _reap(process: subprocess.Popen[bytes], workspace: Workspace) -> None:
    process.wait()
    wake(workspace)


def by_hand(workspace: Workspace, item: Item) -> Path:
    """The directory of an item's run that a person started."""
    return jobs.by_hand(workspace.home / "scheduled", item.key)


def _waited(poll: Callable[[], int | None], directory: Path, on_line: Callable[[str], None] | None) -> jobs.Ended:
    path, offset = directory / "output", 0
    while True:
        over = poll() is not None
        if on_line is not None and path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                text = file.read()
            whole = text if over else text[: text.rfind(b"\n") + 1]
            offset += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                on_line(line)
        if over:
            return jobs.look(directory) or jobs.Ended(None, "its process died", None)
        time.sleep(0.1)
