"""tabsync backup list, show, window: what the store has. They only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.request import Argument, Nothing
from tabsync.kernel.units import human_bytes, human_seconds

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts
    from tabsync.stores.manifest import Manifest
    from tabsync.workspace import Workspace

_PROOF: dict[str | None, Cell] = {
    "identical": ("proven", "good"),
    "partial": ("partly", "warning"),
    None: ("not proven", "warning"),
}


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of backup show."""

    backup: Annotated[str, Argument("A backup's id, or latest.")] = "latest"


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """The backups in the store, and those that the provider and pgBackRest keep."""
    from tabsync.backups.list import list_backups
    from tabsync.backups.procedures.others import add_pgbackrest, add_provider
    from tabsync.backups.provider import pgbackrest_state, provider_state

    backups, damaged = list_backups(workspace)
    provider, others = provider_state(workspace), pgbackrest_state()
    url = workspace.store().url
    ours = {"store": url, "backups": backups, "damaged": [one.fact for one in damaged]}
    page = Page("backups", ours | {"provider": provider, "pgbackrest": others})
    if not backups and not damaged:
        page.line(f"No backup in {url}. To take one: tabsync backup take full")
    else:
        columns = ("Backup", "Kind", "Age", "Database", "Reason", "Stored", "Proof", "Kept until")
        page.table(columns, map(_listed, backups), right=("Age", "Stored"), whole=("Backup", "Age", "Stored"))
    add_provider(page, provider)
    add_pgbackrest(page, others)
    for problem in damaged:
        page.note(problem.fact)
    for hint in dict.fromkeys(problem.hint for problem in damaged):
        page.hint(hint)
    page.exit_code = Exit.PROBLEM_FOUND if damaged else Exit.DONE
    return page


def look_show(workspace: Workspace, request: Show) -> Page:
    """A backup: its source, its snapshot, its tables."""
    from tabsync.postgres.catalog import Relation

    manifest = workspace.store().find(request.backup)
    page = Page("backup", row_of(manifest) | {"files": [file.to_json() for file in manifest.files]})
    source = manifest.source
    page.line((manifest.id, "strong"), f"  {manifest.kind}, {manifest.reason}")
    page.line(f"database  {source['database']}, PostgreSQL {source['version']}, {source['role']}")
    page.line(f"snapshot  {manifest.snapshot['time'][:19]} UTC at LSN {manifest.snapshot['lsn']}")
    page.line(f"stored    {human_bytes(manifest.stored_bytes)} in {len(manifest.files)} files")
    if manifest.physical:
        page.line("contains  the files of the whole cluster; to see what can be recovered: tabsync backup window")
        return page
    rows = (
        (str(Relation(file.schema, file.table)), human_bytes(file.bytes), file.digest[:16])
        for file in manifest.files
        if file.table
    )
    page.table(("Table", "Stored", "SHA-256"), rows, right=("Stored",))
    return page


def look_window(workspace: Workspace, _request: Nothing) -> Page:
    """To which times recovery is possible."""
    from tabsync.backups.procedures.others import add_provider_window
    from tabsync.backups.provider import provider_state
    from tabsync.backups.wal.window import window

    facts, provider = window(workspace), provider_state(workspace)
    page = Page("window", facts | {"provider": provider})
    for cluster in facts["clusters"]:
        _add_cluster(page, cluster)
    if not facts["clusters"]:
        page.line(
            "No physical backup: only the dumps can be restored. To recover to any second: tabsync backup take physical"
        )
    if facts["dumps"]:
        page.line("Dumps, each of one point in time", style="strong")
        for one in facts["dumps"]:
            page.line(f"{local(one['at'])}  {one['backup']}  {one['kind']}, {one['database']}")
    for complaint in facts["damaged"]:
        page.note(complaint)
    if provider:
        add_provider_window(page, provider)
    bad = facts["damaged"] or any(one["gaps"] for one in facts["clusters"]) or (provider and provider["problem"])
    page.exit_code = Exit.PROBLEM_FOUND if bad else Exit.DONE
    return page


def row_of(manifest: Manifest) -> Facts:
    """What JSON says of a backup."""
    return {
        "id": manifest.id,
        "backup_kind": manifest.kind,
        "reason": manifest.reason,
        "started_at": manifest.started_at,
        "finished_at": manifest.finished_at,
        "snapshot": manifest.snapshot,
        "source": manifest.source,
        "program": manifest.program,
        "tables": len(manifest.tables),
        "bytes": manifest.stored_bytes,
    }


def _listed(one: Facts) -> tuple[Cell, ...]:
    return (
        one["id"],
        one["kind"],
        human_seconds(one["age_seconds"]),
        one["database"],
        one["reason"],
        human_bytes(one["bytes"]),
        _PROOF.get(one["proof"], ("failed", "bad")) if one["kind"] == "full" else "-",
        "held" if one["held"] is not None else (one["expires_at"] or "forever")[:10],
    )


def _add_cluster(page: Page, cluster: Facts) -> None:
    page.line((f"Cluster {cluster['system_identifier']}", "strong"), f"  {', '.join(cluster['databases'])}")
    for one in cluster["windows"]:
        page.line(f"any time from {local(one['from'])} to {local(one['to'])}", style="good")
    if len(cluster["timelines"]) > 1:
        page.table(
            ("Timeline", "Left", "In the store since", "To"), map(_timeline, cluster["timelines"]), right=("Timeline",)
        )
    columns = ("Backup", "Kind", "From", "To", "WAL files")
    page.table(columns, map(_base, cluster["bases"]), right=("WAL files",), whole=("Backup",))
    for gap in cluster["gaps"]:
        page.line(f"WAL is missing: {gap['segments']} files from {gap['first']} on", style="strong bad")


def _timeline(one: Facts) -> tuple[Cell, ...]:
    left = f"timeline {one['parent']} at {one['left_at']}" if one["parent"] else ""
    return str(one["timeline"]), left, local(one["known_since"]) if one["known_since"] else "", local(one["to"])


def _base(one: Facts) -> tuple[Cell, ...]:
    about = "" if one["exact"] or not one["segments"] else "about "
    to: Cell = (f"{about}{one['broken']}", "bad") if one["broken"] else f"{about}{local(one['to'])}"
    return one["backup"], one["kind"], local(one["from"]), to, str(one["segments"])
