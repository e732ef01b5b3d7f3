"""tabsync backup copy: a backup into another store, object by object as it is stored, its manifest last.

What is encrypted stays encrypted: a copy needs no key. Every object that is sent is read back and checked before the
manifest is written; one that is there already is counted on by its size (tabsync backup verify reads it).
"""

from __future__ import annotations

import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.backups.retention.policy import class_of
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.load import read
from tabsync.manual.model import RetentionClass
from tabsync.stores.address import is_of_kind, is_own
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace


def plan_copy(workspace: Workspace, backup: str, to: str) -> Plan:
    """Plan to copy a backup (an id, or "latest") to another store, by its name in tabsync.toml or its URL.

    Raises BadUsage when there is no such backup, Refused when it is there already or the store can't be written to.
    """
    manifest = workspace.store().find(backup)
    target = workspace.store(workspace.store_place(to))
    if target.url == workspace.store().url:
        raise BadUsage(f"backup and target are in the same store, {target.url}", "name another one: --to")
    if manifest.id in target.ids():
        raise Refused(f"backup {manifest.id} is already in {target.url}", f"tabsync backup list --store {target.url}")
    target.look()
    steps = copy_steps(manifest.id, target)
    return Plan("backup copy", f"Copy backup {manifest.id} to {target.url}", steps, manifest.source)


def copies_of(workspace: Workspace, kind: str, reason: str) -> tuple[list[Store], list[str]]:
    """The stores that a new backup is to be copied to, by its class in the manual; and those that nobody can find.

    The second list names stores of the class that tabsync.toml does not place.
    """
    row = class_of(kind, reason, classes_of(workspace))
    if row is None:
        return [], []
    places = {name.lower(): place for name, place in workspace.stores}
    own = workspace.store()
    found, lost = [], []
    for name in row.stores:
        place = places.get(name.lower())
        if place is not None:
            store = workspace.store(place)
            found += [store] if store.url != own.url else []
        elif is_own(name) and not is_of_kind(own.url, name):
            lost.append(name)
    return found, lost


def copy_steps(backup: str, target: Store, number: int = 1) -> tuple[Step, ...]:
    """The steps that copy a backup, which may only come to exist in a step before them. number: of the copy."""
    staging = f"copy-{compact(now())}-{secrets.token_hex(2)}"
    which = {"backup": backup, "to": target.url.removeprefix("file://")}
    return (
        Step(
            f"copy_{number}",
            f"Copy it to {target.url}",
            call(copy, **which, staging=staging),
            preview="send each object that is missing there, read it back and check its digest; send the manifest last",
            risk=Risk.REVERSIBLE,
            undo=f"delete {target.url}/manifests/{backup}.json",
            reads=(backup,),
        ),
        Step(
            f"tidy_copy_{number}",
            "Delete the staging directory of the copy",
            call(tidy, **which, staging=staging),
            preview=f"rm -r {target.staging(staging)}",
            risk=Risk.REVERSIBLE,
            undo="no undo needed: it contained copies only",
            always=True,
        ),
    )


def copy(context: Context, *, backup: str, to: str, staging: str) -> Facts:
    """Copy every object that isn't there yet, verify it, and take the manifest over as it is.

    Raises FailedPartway when the copy can't be made; the backup itself is not touched.
    """
    workspace = context.workspace
    source, target = workspace.store(), workspace.store(to)
    try:
        content, manifest = source.manifest_content(backup), source.manifest(backup)
        target.prepare()
        target.sweep()
        directory = target.staging(staging)
        workspace.hold(directory)
        files = list({file.object: file for file in manifest.files}.values())
        sent = 0
        with ThreadPoolExecutor(max_workers=2) as pool:
            made = pool.map(lambda file: send(source, target, file, directory), files)
            for number, size in enumerate(made, start=1):
                sent += size
                context.report(number, len(files), "objects")
        source.copy_signatures(target, backup)
        target.commit(manifest, content)
    except (FailedPartway, ProblemFound) as error:
        raise FailedPartway(
            f"backup {backup} is not copied to {target.url}: {error.fact.removesuffix('; no backup was recorded')}",
            f"it is still in {source.url}; to try again: tabsync backup copy {backup} --to {target.url}",
        ) from error
    _leave_evidence(context, manifest, target)
    return {"backup": backup, "store": target.url, "objects": len(files), "sent_bytes": sent}


def _leave_evidence(context: Context, manifest: Manifest, target: Store) -> None:
    """Say that a backup is in one more store of its class: as evidence of its own, the newest of a backup counts."""
    ledger = context.workspace.ledger()
    known = ledger.read("evidence_from", kind="backup", since=manifest.finished_at)
    facts = next((one["facts"] for one in reversed(known) if one["facts"]["backup"] == manifest.id), None)
    if facts is not None and target.url in facts.get("lacks", ()):
        facts |= {"lacks": [url for url in facts["lacks"] if url != target.url]}
        add_evidence(ledger, "backup", manifest.subject, ok=True, facts=facts, run_id=context.run_id)


def tidy(context: Context, *, backup: str, to: str, staging: str) -> Facts:
    """Remove the staging directory of a copy."""
    context.workspace.delete(context.workspace.store(to).staging(staging))
    return {}


def classes_of(workspace: Workspace) -> tuple[RetentionClass, ...]:
    """The manual's retention classes; none when it can't be read: a backup is wanted most when nothing is in order."""
    try:
        return read(workspace.manual_path)[0].retention
    except BadUsage:
        return ()


def send(source: Store, target: Store, file: StoredFile, directory: Path) -> int:
    """Copy one object; gives the bytes sent, 0 when it was there."""
    if target.count_on(file.object, file.object_bytes):
        return 0
    path = directory / file.object
    wrong = source.place_object(file, path)
    if wrong:
        raise ProblemFound(f"{file.name}: object {file.object[:12]} {wrong}", f"tabsync backup verify {source.url}")
    if path.is_symlink():  # a local store gives a link to its object, which must stay where it is
        real = path.with_name(f"{path.name}.copy")
        shutil.copyfile(path, real)
        path.unlink()
        path = real
    target.adopt(path, file.object)
    if wrong := target.harm(file):
        raise FailedPartway(f"{file.name}: the copy of object {file.object[:12]} {wrong}")
    return file.object_bytes
