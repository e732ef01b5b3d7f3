"""tabsync backup take: what one may ask of it, its plan, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Take:
    """What one may ask of backup take."""

    kind: Annotated[Literal["full", "schema", "data", "tables", "physical"], Argument("What the backup contains.")]
    tables: Annotated[
        tuple[str, ...], Argument("With tables: their names, as schema.table or in the schema public.")
    ] = ()
    reason: Annotated[str, Option("Why the backup is taken; stored with it, and it chooses the retention class.")] = (
        "manual"
    )
    form: Annotated[
        Literal["directory", "custom", "plain"],
        Option("directory: into the store. custom, plain: one file for pg_restore or psql.", ("--format",)),
    ] = "directory"
    file: Annotated[Path | None, Option("With --format custom or plain: the file to write.")] = None
    exclude_unreadable: Annotated[
        bool, Option("Leave out what the user may not read; the backup lists it by name.")
    ] = False
    exclude_platform: Annotated[bool, Option("Leave out the provider's own schemas (Supabase: auth, storage).")] = False
    incremental: Annotated[bool, Option("With physical, since PostgreSQL 17: only the blocks that changed.")] = False
    parent: Annotated[
        str | None, Option("With --incremental: the physical backup it is based on, an id or latest (default).")
    ] = None
    checkpoint: Annotated[
        Literal["fast", "spread"],
        Option("With physical: fast starts at once, with many writes; spread waits for the next checkpoint."),
    ] = "fast"


def plan_take(workspace: Workspace, request: Take) -> Planned[Workspace]:
    """Plan a backup of the kind that is asked for. Raises BadUsage for options that don't go together."""
    _check(request)
    if request.kind == "physical":
        from tabsync.backups.take_physical import plan_take_physical

        since = (request.parent or "latest") if request.incremental else None
        return Planned(plan_take_physical(workspace, request.reason, parent=since, checkpoint=request.checkpoint))
    if request.file is not None:
        from tabsync.backups.take_file import plan_take_file

        return Planned(plan_take_file(workspace, request.kind, list(request.tables), request.form, request.file))
    from tabsync.backups.copy import copies_of
    from tabsync.backups.take import plan_take as plan_dump

    plan = plan_dump(
        workspace,
        request.kind,
        request.reason,
        request.tables,
        exclude_unreadable=request.exclude_unreadable,
        exclude_platform=request.exclude_platform,
    )
    lost = copies_of(workspace, request.kind, request.reason)[1]
    missing = "the manual requires a copy in {}, but [stores] in tabsync.toml does not define it"
    return Planned(plan, tuple(missing.format(name) for name in lost))


def show_take(done: Done[Workspace, Take]) -> Page:
    """The backup, or the file, that was taken."""
    run = {"run": done.ran.run_id}
    if "write" in done.results:
        written = done.results["write"]
        page = Page("backup file", run | written)
        page.line(f"Wrote {written['file']}, {human_bytes(written['bytes'])}", whole=True)
        return page
    from tabsync.backups.procedures.looks import row_of

    if done.ran.error is not None and "commit" not in done.results:
        return Page("backup", error=None)
    manifest = done.workspace.store().manifest(done.results["commit"]["backup"])
    page = Page("backup", run | {"seconds": done.ran.seconds} | row_of(manifest))
    seconds = sum(done.ran.seconds.values())
    proof = f" Not proven yet; to prove it: tabsync drill --backup {manifest.id}" if manifest.kind == "full" else ""
    size = human_bytes(manifest.stored_bytes)
    told = f" taken in {human_seconds(seconds)}: {manifest.kind}, {size}.{proof}"
    page.line("Backup ", (manifest.id, "strong"), told)
    return page


def _check(request: Take) -> None:
    """Refuse options that don't go together: one that is given and does nothing would promise something."""
    from tabsync.kernel.errors import BadUsage

    physical, left_out = request.kind == "physical", request.exclude_unreadable or request.exclude_platform
    if (request.kind == "tables") != bool(request.tables):
        raise BadUsage("give table names with the kind 'tables', and only with it", "tabsync backup take tables users")
    if (request.form == "directory") != (request.file is None):
        raise BadUsage("--file needs --format custom or plain, and these need --file", "tabsync backup take -h")
    if physical and (request.file or left_out):
        raise BadUsage(
            "a physical backup is of the whole cluster and can only be written into the store", "tabsync backup take -h"
        )
    if ((request.incremental or request.parent) and not physical) or (request.parent and not request.incremental):
        raise BadUsage(
            "--parent needs --incremental, and --incremental needs the kind physical", "tabsync backup take -h"
        )
    if request.file and left_out:
        raise BadUsage(
            "only a backup in the store can record what was left out; a single file can't", "leave --file out"
        )
