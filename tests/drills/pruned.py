"""Backups made of nothing but store content, for what prunes them; and a prune that kills itself.

python -m tests.drills.pruned WORKSPACE.json before|after STEP
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path

from tabsync.backups.prune import GRACE, plan_prune, survey
from tabsync.kernel.clock import iso
from tabsync.kernel.runner import Boundary, Outcome, run
from tabsync.ledger.evidence import add_evidence
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.workspace import Workspace

SOURCE = {"database": "shop", "system_identifier": "73", "version": "17", "role": "primary"}


def fabricate(
    store: LocalStore, backup: str, at: datetime, *contents: bytes, reason: str = "manual", kind: str = "full"
) -> Manifest:
    """A backup of the given files, as if taken at a moment; the objects are as old as that."""
    store.prepare()
    files = tuple(stored(store, content, at) for content in contents)
    moment = iso(at)
    one = Manifest(backup, kind, reason, moment, moment, {"time": moment, "lsn": "0/1"}, SOURCE, {}, {}, files)
    store.commit(one)
    return one


def stored(store: LocalStore, content: bytes, at: datetime) -> StoredFile:
    """An object, as old as a moment."""
    path = store.staging(hashlib.sha256(content).hexdigest()[:8])
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    store.adopt(path, digest)
    os.utime(store.object_path(digest), (at.timestamp(), at.timestamp()))
    return StoredFile(f"{digest[:8]}.dat", digest, len(content), "public", "t")


def proved(workspace: Workspace, backup: str, content: str = "identical") -> None:
    """A drill's evidence."""
    facts = {"backup": backup, "content": content}
    add_evidence(workspace.ledger(), "drill", "73/shop", ok=content == "identical", facts=facts)


def prune(workspace: Workspace, grace: timedelta = GRACE, boundary: Boundary | None = None) -> Outcome:
    """Plan a prune and run it."""
    plan = plan_prune(workspace, survey(workspace, grace))
    return run(plan, workspace, workspace.journal(), approval="--yes", boundary=boundary)


def main() -> None:
    """Prune until the named moment."""
    values, moment, key = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], sys.argv[3]
    home, store_root, manual = (Path(values[name]) for name in ("home", "store_root", "manual_path"))
    workspace = Workspace(home, values["conninfo"], store_root, manual, values["ledger_url"])

    def boundary(which: str, step: str) -> None:
        if (which, step) == (moment, key):
            os.kill(os.getpid(), signal.SIGKILL)

    prune(workspace, boundary=boundary)


if __name__ == "__main__":
    main()
