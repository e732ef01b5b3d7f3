"""tabsync backup verify: is what lies in the store what was stored, and, with --deep, does it come back?

Without --deep only digests are compared: nothing is restored, and nothing is proven but that no byte has changed since
it was stored. --deep restores into a scratch server and proves the copy like a drill, with amcheck on top.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tabsync.backups.drill.drill import proof_steps, tidy_step
from tabsync.backups.corruption import key_of, read_objects
from tabsync.copies.restores.scratch import whose
from tabsync.backups.drill.verdict import notes_of
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, CannotConnect, ProblemFound
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Context, Facts, Step
from tabsync.kernel.units import human_bytes
from tabsync.ledger.evidence import add_evidence
from tabsync.postgres import catalog
from tabsync.postgres.catalog import server_major
from tabsync.postgres.installation import server_for
from tabsync.stores.manifest import Manifest, subject_of
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

KIND = "verify"
"""The kind of its evidence."""

_PROVEN = ("fetch", "scratch", "restore", "round_trip", "rows", "orphans", "amcheck")
_NEEDLESS = ("disaster", "answer")  # they measure RPO and RTO: that is a drill's business


def chosen(workspace: Workspace, backup: str, *, full: bool = False) -> list[str]:
    """The ids of what is to be verified: of one backup, of the newest one of the database ("latest"), or of "all".

    full: the latest full one. Raises BadUsage when there is none.
    """
    store = workspace.store()
    if backup not in ("all", "latest"):
        if backup not in store.ids():
            raise BadUsage(f"there is no backup {backup!r} in {store.url}", "tabsync backup list")
        return [backup]
    ids = store.ids()
    if not ids:
        raise BadUsage(f"there is no backup in {store.url}", "tabsync backup take full")
    if backup == "all":
        return ids
    subject = _subject(workspace)
    mine = [one for one in store.manifests()[0] if subject in (None, one.subject) and (not full or one.kind == "full")]
    if not mine:
        kind = "full backup" if full else "backup"
        raise BadUsage(f"there is no readable {kind} of this database in {store.url}", "tabsync backup take full")
    return [mine[-1].id]


def plan_verify(workspace: Workspace, backups: list[str]) -> Plan:
    """Plan to read every object of some backups, each object once. Nothing is changed."""
    store = workspace.store()
    what = f"backup {backups[0]}" if len(backups) == 1 else f"{len(backups)} backups"
    return Plan(
        procedure="backup verify",
        title=f"Verify {what} in {store.url}",
        target={"store": store.url},
        steps=(
            Step(
                "read",
                "Read every stored object",
                "tabsync.backups.verify:read",
                {"backups": backups},
                "SHA-256 of each manifest and each object, and the manifest's signature if it has one",
            ),
            Step("record", "Record the verdict", "tabsync.backups.verify:record", {}, "write it into the ledger"),
        ),
    )


def plan_verify_deep(workspace: Workspace, backup: str) -> Plan:
    """Plan to restore one full backup into a scratch server and to prove the copy, its indexes included.

    Raises BadUsage when it isn't a full one, ProblemFound when its manifest is damaged, Refused when no installed
    PostgreSQL could hold the copy. Nothing is changed.
    """
    manifest = workspace.store().manifest(backup)
    if manifest.kind != "full":
        raise BadUsage(
            f"backup {backup} is of kind {manifest.kind}: --deep needs a full backup",
            f"to read its objects only: tabsync backup verify {backup}",
        )
    workspace.keys.require_identity(manifest.encryption.get("recipients", ()))
    scratch = f"verify-{compact(now())}-{secrets.token_hex(2)}"
    proof = proof_steps(workspace, backup, scratch, manifest.source, [])
    return Plan(
        procedure="backup verify --deep",
        title=f"Verify that backup {backup} of {manifest.source['database']} can be restored",
        target=manifest.source,
        steps=(
            *(step for step in proof if step.key not in _NEEDLESS),
            amcheck_step(scratch, manifest.source),
            Step(
                "record",
                "Record the verdict",
                "tabsync.backups.verify:record_deep",
                {"backup": backup, "subject": manifest.subject},
                "write it into the ledger",
                always=True,
            ),
            tidy_step(scratch),
        ),
    )


def amcheck_step(scratch: str, target: Facts) -> Step:
    """The step that reads every page and looks for every row in every index of the copy; drills have it too."""
    server = server_for(server_major(target))
    return Step(
        "amcheck",
        "Check every page and every index entry (amcheck)",
        "tabsync.copies.proofs.amcheck:amcheck",
        {"scratch": scratch},
        f"amcheck of PostgreSQL {server.dotted}: bt_index_parent_check(index, true, true), verify_heapam(table)",
    )


def read(context: Context, *, backups: list[str]) -> Facts:
    """Read the manifests and every object that they name; an object of several backups is read once."""
    store: Store = context.services.store()
    found = {backup: _manifest(store, backup) for backup in backups}
    harm, total = read_objects(context, store, [one for one in found.values() if isinstance(one, Manifest)])
    return {"backups": [_verdict(store, backup, one, harm) for backup, one in found.items()], "bytes": total}


def record(context: Context) -> Facts:
    """Put the verdict on each backup into the ledger. Raises ProblemFound naming the first that is damaged."""
    verdicts = context.results["read"]["backups"]
    for one in verdicts:
        facts = one | {"depth": "shallow"}
        add_evidence(context.services.ledger(), KIND, one["subject"], ok=one["ok"], facts=facts, run_id=context.run_id)
    damaged = [one for one in verdicts if not one["ok"]]
    if damaged:
        of = f"{len(damaged)} of {len(verdicts)} backups are corrupt, the first: " if len(verdicts) > 1 else ""
        raise ProblemFound(
            f"{of}backup {damaged[0]['backup']}: {'; '.join(damaged[0]['wrong'][:3])}",
            "restore it from a copy of the store, or take a new backup: tabsync backup take full",
        )
    return {"sound": len(verdicts)}


def record_deep(context: Context, *, backup: str, subject: str) -> Facts:
    """Judge the copy and put the verdict into the ledger, good or bad."""
    facts = judge_deep(context.results) | {"backup": backup, "depth": "deep"}
    add_evidence(context.services.ledger(), KIND, subject, ok=facts["ok"], facts=facts, run_id=context.run_id)
    return facts


def judge_deep(results: Mapping[str, Facts]) -> Facts:
    """What the steps of a deep verification showed: pure. A step that is missing was not proven.

    content: "identical", "partial" or "not proven"; unproven: what isn't in the copy or was not checked at all;
    not_checked: what amcheck can't read, which takes nothing from the verdict but is always told.
    """
    complete = all(key in results for key in _PROVEN)
    checked = results.get("amcheck", {})
    lacking = list(results.get("restore", {}).get("unproven", ()))
    if complete and not checked["available"]:
        lacking += checked["not_checked"]
    content = "not proven" if not complete else "partial" if lacking else "identical"
    facts = {
        "ok": content == "identical",
        "content": content,
        "tables": results.get("round_trip", {}).get("tables", 0),
        "rows": results.get("rows", {}).get("total", 0),
        "bytes": results.get("round_trip", {}).get("bytes", 0),
        "foreign_keys": results.get("orphans", {}).get("foreign_keys", 0),
        "indexes": checked.get("indexes", 0),
        "unproven": lacking,
        "not_checked": list(checked.get("not_checked", ())) if checked.get("available") else [],
        "notes": list(notes_of(results)),
    }
    return facts | {"sentence": _sentence(facts)}


def _sentence(facts: Facts) -> str:
    if facts["content"] == "not proven":
        return "NOT PROVEN: this backup has not been shown to be restorable"
    word = "PROVEN RESTORABLE" if facts["ok"] else "PARTLY PROVEN"
    size = f"{facts['tables']} tables, {facts['rows']:,} rows, {human_bytes(facts['bytes'])}"
    return f"{word}: {facts['content']}, {size}; {facts['indexes']} indexes read"


def _subject(workspace: Workspace) -> str | None:
    try:
        with workspace.connect("verify") as connection:
            return subject_of(catalog.identity(connection))
    except CannotConnect:
        return None  # backups are looked at all the more when the database is down


def _manifest(store: Store, backup: str) -> Manifest | str:
    try:
        return store.manifest(backup)
    except ProblemFound as problem:
        return problem.fact


def _verdict(store: Store, backup: str, found: Manifest | str, harm: Mapping[tuple[str, str], str]) -> Facts:
    if isinstance(found, str):
        nothing = {"kind": "unknown", "files": 0, "bytes": 0, "signed": False}
        return {"backup": backup, "subject": "unknown", "ok": False, "wrong": [found], **nothing}
    wrong = [f"{whose(file)} {why}" for file in found.files if (why := harm[key_of(file)])]
    return {
        "backup": backup,
        "subject": found.subject,
        "ok": not wrong,
        "wrong": wrong,
        "kind": found.kind,
        "files": len(found.files),
        "bytes": found.stored_bytes,
        "signed": bool(found.signature or store.keys.trusted),  # trusted, it would not be readable without one
    }
