"""tabsync backup verify: is what lies in the store what was stored, and, with --deep, does it come back?

Without --deep only digests are compared: nothing is restored, and nothing is proven but that no byte has changed since
it was stored. --deep restores into a scratch server and proves the copy like a drill, with amcheck on top.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tabsync.backups.corruption import key_of, read_objects
from tabsync.copies.proofs.amcheck import amcheck_step
from tabsync.copies.proofs.steps import notes_of, proof_steps, tidy_step
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.ledger.evidence import add_evidence
from tabsync.stores.manifest import Manifest, whose
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

KIND = "verify"
"""The kind of its evidence."""

_PROVEN = ("fetch", "scratch", "restore", "round_trip", "rows", "orphans", "amcheck")
_NEEDLESS = ("disaster", "answer")  # they measure RPO and RTO: that is a drill's business


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
                call(read, backups=backups),
                "SHA-256 of each manifest and each object, and the manifest's signature if it has one",
                reads=tuple(backups),
            ),
            Step("record", "Record the verdict", call(record), "write it into the ledger"),
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
                call(record_deep, backup=backup, subject=manifest.subject),
                "write it into the ledger",
                always=True,
            ),
            tidy_step(scratch),
        ),
    )


def read(context: Context, *, backups: list[str]) -> Facts:
    """Read the manifests and every object that they name; an object of several backups is read once."""
    store: Store = context.workspace.store()
    found = {backup: _manifest(store, backup) for backup in backups}
    harm, total = read_objects(context, store, [one for one in found.values() if isinstance(one, Manifest)])
    return {"backups": [_verdict(store, backup, one, harm) for backup, one in found.items()], "bytes": total}


def record(context: Context) -> Facts:
    """Put the verdict on each backup into the ledger. Raises ProblemFound naming the first that is damaged."""
    verdicts = context.results["read"]["backups"]
    for one in verdicts:
        facts = one | {"depth": "shallow"}
        add_evidence(context.workspace.ledger(), KIND, one["subject"], ok=one["ok"], facts=facts, run_id=context.run_id)
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
    add_evidence(context.workspace.ledger(), KIND, subject, ok=facts["ok"], facts=facts, run_id=context.run_id)
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
