"""tabsync restore rows: what one may ask of it, its plans, what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Planned
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.kernel.procedure import Done
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Rows:
    """What one may ask of restore rows."""

    table: Annotated[str | None, Option("The table, as users or public.users.")] = None
    where: Annotated[str | None, Option("A condition in SQL, as after WHERE; any SQL only runs on a copy.")] = None
    source: Annotated[
        str,
        Option(
            "nearest, audit (the audit log), latest, warm, a backup's id, a time (the newest backup before it), or a"
            " database.",
            ("--from",),
        ),
    ] = "nearest"
    as_of: Annotated[
        str | None,
        Option(
            "From the audit log: rows as they were at a time ('2026-11-22 14:30', 14:30 for today, '1 hour ago'),"
            " whatever happened since.",
            metavar="TIME",
        ),
    ] = None
    transaction: Annotated[
        str | None, Option("From the audit log: what one transaction deleted or changed.", metavar="XID")
    ] = None
    by: Annotated[
        str | None, Option("From the audit log: rows that this actor, role or application deleted.", metavar="WHO")
    ] = None
    secrets_from: Annotated[
        str | None,
        Option(
            "Take the columns that the audit log hides from a backup: latest, warm, an id or a time.", metavar="BACKUP"
        ),
    ] = None
    without_secrets: Annotated[
        bool, Option("Write rows although the audit log hides some columns: NULL, or their default, in these.")
    ] = False
    with_dependents: Annotated[
        bool, Option("Also restore rows that ON DELETE CASCADE deleted or SET NULL changed.")
    ] = False
    replace: Annotated[
        bool, Option("Also overwrite rows that differ with the copy's; otherwise they are not changed.")
    ] = False
    without_triggers: Annotated[
        bool, Option("Disable the tables' own triggers for the restore; keys are still checked.")
    ] = False
    expect: Annotated[str | None, Option("Only write if the difference has this digest, which --dry-run printed.")] = (
        None
    )
    undo: Annotated[str | None, Option("Undo what a run wrote.", metavar="RUN")] = None

    def check(self) -> None:
        """See that nothing was given empty. Raises BadUsage."""
        from tabsync.backups.restore.rows.asked import check_not_empty

        given = {"--table": self.table, "--where": self.where, "--from": self.source, "--as-of": self.as_of}
        given |= {"--transaction": self.transaction, "--by": self.by, "--secrets-from": self.secrets_from}
        check_not_empty(given | {"--expect": self.expect, "--undo": self.undo})

    @property
    def chosen_source(self) -> str:
        """Where the rows come from. Rows that differ are overwritten as in a backup, unless another source is named."""
        asks_the_log = self.as_of or self.transaction or self.by or self.secrets_from
        return "latest" if self.source == "nearest" and self.replace and not asks_the_log else self.source


@dataclass(frozen=True, slots=True)
class Compared:
    """What one may ask of a comparison that was made: to write what it found."""

    run: Annotated[str, Argument("The run that compared the rows.")]
    replace: Annotated[bool, Option("Also overwrite rows that differ with the copy's.")] = False
    without_secrets: Annotated[bool, Option("Write rows although the audit log hides some columns.")] = False


def plan_rows(workspace: Workspace, request: Rows) -> Planned[Workspace]:
    """Plan to compare rows, or to undo what a run wrote. What the comparison finds is kept, to be written next."""
    from tabsync.backups.restore.rows.asked import asked_of
    from tabsync.backups.restore.rows.plan_compare import plan_compare_rows
    from tabsync.backups.restore.rows.undo import plan_undo_rows

    request.check()
    if request.undo is not None:
        return Planned(plan_undo_rows(workspace, request.undo, without_triggers=request.without_triggers))
    plan, found, scratch = plan_compare_rows(
        workspace,
        request.table or "",
        request.where or "",
        request.chosen_source,
        with_dependents=request.with_dependents,
        asked=asked_of(request.as_of, request.transaction, request.by, request.secrets_from),
    )
    notes = (f"{found}: {found.why}",) if found.why else ()
    return Planned(plan, notes, keeps=(scratch,))


def plan_compared(workspace: Workspace, request: Compared) -> Planned[Workspace]:
    """Plan to write what a comparison found, which is deleted when it was written."""
    from tabsync.backups.restore.rows.compared import difference_of, words_of
    from tabsync.backups.restore.rows.restore import plan_write_rows
    from tabsync.ledger.runs import one_run

    found = difference_of(workspace, request.run)
    compared = one_run(workspace.ledger(), found.run_id) or {}
    typed = [*words_of(compared["plan"]), *(["--replace"] if request.replace else [])]
    typed += ["--without-secrets"] if request.without_secrets else []
    typed += ["--expect", found.facts["digest"][:12]]
    plan = plan_write_rows(workspace, found, replace=request.replace, without_secrets=request.without_secrets)
    return Planned(plan, typed=tuple(typed), done=lambda: workspace.delete(workspace.scratch(found.scratch)))


def show_rows(done: Done[Workspace, Rows | Compared]) -> Page:
    """What was compared, written, or undone."""
    from tabsync.backups.restore.rows.roles import NOT_ENTERED

    page = Page("restore rows", {"run": done.ran.run_id})
    if "undo" in done.results and "deleted" in done.results["undo"]:
        facts = done.results["undo"]
        page.line("Undone", style="strong good")
        page.line(f"{facts['deleted']:,} rows deleted, {facts['restored']:,} rows restored to their earlier values.")
    elif "write" in done.results:
        page.line("Rows written, in one transaction", style="strong good")
        for one in done.results["write"]["tables"]:
            page.line(f"{one['schema']}.{one['name']}: {one['inserted']:,} inserted, {one['updated']:,} updated")
        if not done.results["write"].get("roles_entered", True):
            page.line(NOT_ENTERED, style="warning")
        page.line(f"To undo it: tabsync restore rows --undo {done.ran.run_id}", whole=True)
    elif "compare" in done.results:
        page.line("Compared; nothing was changed", style="strong")
    return page
