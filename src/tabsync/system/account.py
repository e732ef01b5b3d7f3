"""Which account a server of ours runs under.

PostgreSQL refuses to run as root. When we are root, servers run as an unprivileged account that exists everywhere,
and their directories must be ones that this account can reach.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.errors import Refused

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group ids of a server process."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Hand a directory tree to the account; nothing to do when it is ours already."""
        if os.geteuid() != 0:
            return
        os.chown(path, self.uid, self.gid)
        for entry in path.rglob("*"):
            os.chown(entry, self.uid, self.gid, follow_symlinks=False)

    def can_reach(self, path: Path) -> bool:
        """Whether the account can walk down to path (every existing parent lets it through)."""
        if os.geteuid() != 0:
            return True
        return all(_may_enter(parent, self) for parent in (path, *path.parents) if parent.is_dir())


def server_account() -> Account:
    """The account to run servers under: ourselves, or an unprivileged one when we are root.

    Raises Refused when we are root and the machine has no such account.
    """
    if os.geteuid() != 0:
        return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Refused(
        "PostgreSQL does not run as root, and this machine has neither an account 'postgres' nor 'nobody'",
        "run tabsync as an ordinary user",
    )


def reachable_place(directory: Path) -> Path:
    """A directory for servers: the given one, or, where the servers' account can't reach it, one under /var/tmp."""
    if server_account().can_reach(directory):
        return directory
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    place = Path("/var/tmp") / f"tabsync-servers-{digest}"  # noqa: S108 - owner checked
    place.mkdir(mode=0o711, exist_ok=True)
    if place.stat().st_uid != os.geteuid() or place.stat().st_mode & 0o022:
        raise Refused(f"{place} can be changed by other users, so no server is started there", f"rm -r {place}")
    return place


def reachable_copy(tree: Path, account: Account) -> Path:
    """A path to the same program files that the account can reach.

    Root's virtual environment may lie below a directory that only root may enter; the server then runs from a copy
    in the system's temporary directory, named by what it is a copy of.
    """
    if account.can_reach(tree):
        return tree
    stat = tree.stat()
    copy = Path("/var/tmp") / f"tabsync-programs-{stat.st_ino:x}-{int(stat.st_mtime):x}"  # noqa: S108 - owner checked
    if copy.is_dir():
        if copy.stat().st_uid != 0:
            raise Refused(f"{copy} is not owned by root, so no program in it is run", f"rm -r {copy}")
        return copy
    making = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(tree, making, symlinks=True)
    making.chmod(0o755)
    try:
        making.rename(copy)
    except OSError:  # another process was faster
        shutil.rmtree(making)
    return copy


def _may_enter(directory: Path, account: Account) -> bool:
    stat = directory.stat()
    if stat.st_uid == account.uid:
        return bool(stat.st_mode & 0o100)
    if stat.st_gid == account.gid:
        return bool(stat.st_mode & 0o010)
    return bool(stat.st_mode & 0o001)
