"""tabsync audit verify: whether the audit log is what was sealed; the first entry that isn't is named.

The hashes are computed anew from the entries, by PostgreSQL's own functions and none that is installed. The heads of
the chain are compared with those that are anchored outside: without them, who can change the log could compute a new
chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.audit.database.log import log_of
from tabsync.audit.seals.outside import outside_of
from tabsync.audit.seals.verified import archives_of, verified
from tabsync.audit.seals.verify_file import plan_verify_file, show_verify_file
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Option
from tabsync.kernel.step import Facts, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.postgres.catalog import identity, prove_target
from tabsync.postgres.settings import Limits
from tabsync.stores.manifest import subject_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

VERIFIED = "audit verify"
_LIMITS = Limits(lock_timeout=2_000, statement_timeout=600_000, idle_in_transaction_timeout=0)


@dataclass(frozen=True, slots=True)
class Verify:
    """What one may ask of audit verify. after: only entries of the seals after this one, and the whole chain."""

    after: Annotated[int, Option("Only the entries of the seals after this one.", minimum=0)] = 0
    file: Annotated[Path | None, Option("Instead of the database, a file that `audit export` has written.")] = None


def plan_verify(workspace: Workspace, request: Verify) -> Plan:
    """Plan to verify. Raises Refused when the log is not installed, BadUsage when there is no such file."""
    if request.file:
        return plan_verify_file(request.file)
    with workspace.connect("audit", _LIMITS) as connection:
        target = identity(connection)
        log = log_of(connection)
    step = Step(
        "verify",
        f"Verify {log} against its seals",
        call(verify, target=target, after=request.after),
        f"hash every sealed entry of {log} anew; compare the seals' heads with the ledger and the backups",
    )
    return Plan("audit verify", f"Verify the audit log of {target['database']}", (step,), target)


def show_verify(done: Done[Workspace, Verify]) -> Page:
    """The verdict, what it covers, and what it can't say."""
    if "verify_file" in done.results:
        return show_verify_file(done.results["verify_file"])
    facts = done.results.get("verify", {})
    page = Page("audit verify", facts)
    if facts["wrong"]:
        page.line(("THE AUDIT LOG WAS CHANGED", "strong bad"), f": {facts['wrong']}")
        page.exit_code = Exit.PROBLEM_FOUND
    elif not facts["seals"]:
        page.line(("NOTHING IS SEALED YET", "strong warning"), ": tabsync audit seal")
        page.exit_code = Exit.PROBLEM_FOUND
    elif facts["unproven"]:
        told = f": {facts['unproven']:,} entries are gone or masked by the word of this database alone"
        page.line(("NOT ALL OF IT IS PROVEN", "strong bad"), told)
        page.line(
            "no erasure in the ledger and no month in the store says so; audit list --action ERASE shows the marks"
        )
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        page.line(("THE AUDIT LOG IS AS IT WAS SEALED", "strong good"))
    page.line(
        f"{facts['rows']:,} entries in {facts['seals']:,} seals; heads of {facts['anchors']} are noted outside of it"
    )
    for mark in facts["marks"]:
        page.line(mark)
    for line in _unknown(facts):
        page.line((line, "warning"))
    return page


def _unknown(facts: Facts) -> Iterator[str]:
    if facts["before"]:
        yield f"unknown: {facts['before']:,} entries from before the first seal"
    if facts["since"]:
        yield f"unknown: {facts['since']:,} entries since the last seal"
    if facts["gone"]:
        yield f"{facts['gone']:,} entries are in the stores: their months were archived"
    if facts["masked"]:
        yield f"{facts['masked']:,} entries were masked on purpose (audit erase); each mark is sealed itself"
    if facts["not_sealed"]:
        yield f"not sealed, as they are no columns of ours: {', '.join(facts['not_sealed'])}"
    if not facts["anchors"]:
        yield "no head is anchored outside of the database: a chain computed anew would not be found"


def verify(context: Context, *, target: Facts, after: int) -> Facts:
    """Hash all sealed entries anew, and compare. after: the entries of the seals up to this one are left out."""
    workspace = context.workspace
    subject = subject_of(target)
    with workspace.connect("audit", _LIMITS) as connection:
        prove_target(connection, target)
        outside = outside_of(workspace, subject, [one["name"] for one in archives_of(connection, log_of(connection))])
        facts = verified(connection, outside, after, context)
    good = not facts["wrong"] and not facts["unproven"]
    add_evidence(workspace.ledger(), VERIFIED, subject, ok=good, facts=facts, run_id=context.run_id)
    return facts
