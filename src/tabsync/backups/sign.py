"""tabsync backup sign: vouch for backups whose manifests carry no signature of ours, or one of a key since retired.

A manifest is never rewritten: the signature is put beside it, and counts like the one inside. Nobody can tell from a
backup itself that it was taken here. So unless it is named, only what this ledger recorded is signed, and only while
its manifest says what it said then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabsync.backups.corruption import key_of, read_objects
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.ledger.evidence import evidence_since
from tabsync.stores.keys import public_of
from tabsync.stores.manifest import Manifest, read_manifest, whose
from tabsync.stores.signatures import SIGNATURES, signature_name
from tabsync.stores.store import Store

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_EVERYTHING = 1_000_000  # pieces of evidence


def plan_sign(workspace: Workspace, backups: Sequence[str] = ()) -> Plan:
    """Plan to sign backups by their ids, or all unsigned ones that this ledger recorded; no steps when there are none.

    Raises BadUsage without a key to sign with, or when there is no such backup; NotAllowed when tabsync.toml doesn't
    trust that key; ProblemFound when a manifest is damaged; Refused when one was changed since it was signed or taken.
    """
    key, store, taken = _own_key(workspace), workspace.store(), _recorded(workspace)
    wanted = list(dict.fromkeys(backups)) or [one for one in store.ids() if one in taken]
    found = [one for one in (_stored(store, backup) for backup in wanted) if _lacks(workspace, store, one)]
    for one in found:
        if taken.get(one.id, one.content_digest) != one.content_digest:
            raise Refused(
                f"the manifest of backup {one.id} is not the one that was written when the backup was taken here",
                f"don't restore it; find out who can write to {store.url}",
            )
    what = f"backup {found[0].id}" if len(found) == 1 else f"{len(found)} backups"
    size = human_bytes(sum({file.object: file.object_bytes for one in found for file in one.files}.values()))
    lines = [f"{one.id}, {one.source['database']}: {_history(one.id in taken)}" for one in found]
    steps = (
        Step(
            "read",
            "Read every object of these backups",
            call(read, backups=[one.id for one in found]),
            f"SHA-256 of {size}; nothing is signed if an object is corrupt",
            reads=tuple(one.id for one in found),
        ),
        Step(
            "sign",
            f"Sign {what}",
            call(sign, digests={one.id: one.content_digest for one in found}),
            f"create {store.url}/{SIGNATURES}/ID.{signature_name('', key)[1:]}.json\n" + "\n".join(lines),
            risk=Risk.REVERSIBLE,
            undo=f"delete the file in {store.url}/{SIGNATURES}",
            reads=tuple(one.id for one in found),
        ),
    )
    return Plan("backup sign", f"Sign {what} in {store.url}", steps if found else (), {"store": store.url, "key": key})


def read(context: Context, *, backups: list[str]) -> Facts:
    """Read every object of the backups. Raises ProblemFound when one is missing or damaged: then nothing is signed."""
    store: Store = context.workspace.store()
    found = [_stored(store, backup) for backup in backups]
    harm, size = read_objects(context, store, found)
    for one in found:
        for file in one.files:
            if why := harm[key_of(file)]:
                raise ProblemFound(
                    f"backup {one.id}: {whose(file)} {why}; nothing was signed",
                    "restore the object from a copy of the store, or sign the other backups: tabsync backup sign ID...",
                )
    return {"bytes": size}


def sign(context: Context, *, digests: dict[str, str]) -> Facts:
    """Put a signature beside each manifest, if it still says what the plan saw. digests: by backup, what is signed."""
    workspace = context.workspace
    store, key = workspace.store(), _own_key(workspace)
    signed: list[str] = []
    for backup, digest in digests.items():
        if _stored(store, backup).content_digest != digest:
            raise Refused(f"the manifest of backup {backup} has changed since the plan was made", "tabsync backup sign")
        content = json.dumps(workspace.keys.sign(digest)).encode()
        if store.put_marker(SIGNATURES, signature_name(backup, key), content):
            signed.append(backup)
        context.report(len(signed), len(digests), "backups")
    return {"signed": signed, "key": key}


def _own_key(workspace: Workspace) -> str:
    if workspace.keys.signing is None:
        raise BadUsage(
            "this host has no key to sign with", "tabsync key signing FILE, then: export TABSYNC_SIGNING_KEY=FILE"
        )
    key = public_of(workspace.keys.signing)
    if workspace.keys.trusted and key not in workspace.keys.trusted:
        raise NotAllowed(
            f"tabsync.toml does not trust the key in {workspace.keys.signing}: its signature would not be valid",
            f'add it: trusted_keys = [..., "{key}"]',
        )
    return key


def _recorded(workspace: Workspace) -> dict[str, str]:
    """The backups that were taken here, and what their manifests said."""
    ledger = workspace.ledger()
    found = [one["facts"] for kind in ("backup", "physical") for one in evidence_since(ledger, kind, limit=_EVERYTHING)]
    return {one["backup"]: one["manifest"] for one in found if one.get("manifest")}


def _history(recorded: bool) -> str:
    return (
        "this ledger recorded that it was taken"
        if recorded
        else "UNKNOWN to this ledger: sign it only if you are sure where it came from"
    )


def _stored(store: Store, backup: str) -> Manifest:
    """A manifest as it is stored, whether anybody vouches for it or not."""
    return read_manifest(backup, store.manifest_content(backup))


def _lacks(workspace: Workspace, store: Store, manifest: Manifest) -> bool:
    """Whether no signature that counts is on a manifest. Raises Refused when it was changed after it was signed."""
    keys = workspace.keys.trusting(_own_key(workspace))
    why = store.distrusts(manifest.id, manifest.content_digest, manifest.signature, keys)
    if why.startswith("has a signature"):
        raise Refused(
            f"the manifest of backup {manifest.id} {why}: it was changed after it was signed",
            "restore the manifest from a copy of the store",
        )
    return bool(why)
