"""tabsync wal copy: WAL into a second store, file by file as it is stored; what is encrypted stays so, without a key.

Oldest first, one after the other, each read back and compared before the next one: whatever ends it, what the second
store has is without a gap. Segments that no physical backup there needs stay out, or prune would have to delete them
again. An open segment goes last; older states of it go when a later one, or the whole segment, is there.

When a segment was stored says nothing in a copy: it would be the moment of copying. So behind the last segment there is
a mark, an open segment without content, whose time is one that is known to be reached (names.py).
"""

from __future__ import annotations

import contextlib
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from tabsync.backups.wal.archive import fetch, store_partial
from tabsync.backups.wal.names import Partial, folder, partial_name
from tabsync.backups.wal.replication_diff import SEALED, Copied, Side, sides, wanting
from tabsync.kernel import clock
from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.stores.store import Store, digest_of

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

_ROUNDS = 3  # listings in one run: files go from the first store while it is received into and pruned
_NOBODY_RECEIVES = timedelta(minutes=2)  # a receiver marks the open segment every minute at least
_HERE = "tabsync.backups.wal.copy"


def plan_wal_copy(workspace: Workspace, to: str) -> Plan:
    """Plan to copy all WAL that another store lacks there. to: its name in tabsync.toml, or a directory or URL.

    Raises BadUsage when there is no WAL to copy or the store is the one that it is in, Refused when the other one can't
    be written to. Nothing is changed.
    """
    source, target = workspace.store(), workspace.store(workspace.store_place(to))
    if target.url == source.url:
        raise BadUsage(f"source and target are the same store, {target.url}", "name another one: --to")
    target.look()
    pairs = sides(source, target)
    if not pairs:
        raise BadUsage(f"there is no WAL in {source.url}", "to receive it: tabsync wal receive")
    # Of one name, so that only one copy to a store is at work: by cron, the next may begin before this one has ended.
    staging = f"wal-copy-{hashlib.sha256(target.url.encode()).hexdigest()[:12]}"
    which = {"to": target.url.removeprefix("file://"), "staging": staging}
    lines = [_describe(here, wanting(source, here, there)) for here, there in pairs]
    steps = (
        Step(
            "compare",
            "Check that both stores contain the WAL of the same server",
            call(compare, **which),
            "read the newest segment that both have, and every segment that differs in size, from both",
        ),
        Step(
            "copy",
            f"Copy WAL to {target.url}",
            call(copy, **which),
            "\n".join([*lines, "oldest first; each file is read back, and its SHA-256 compared"]),
            Risk.REVERSIBLE,
            "tabsync backup prune deletes WAL that no physical backup of that store needs",
        ),
        Step(
            "tidy",
            "Delete the staging directory of the copy",
            call(tidy, **which),
            f"rm -r {workspace.home / 'staging' / staging}",
            Risk.REVERSIBLE,
            "no undo needed: it contained a copy of one file",
            always=True,
        ),
    )
    return Plan("wal copy", f"Copy WAL from {source.url} to {target.url}", steps, {"database": "", "store": target.url})


def _describe(here: Side, files: list[Copied]) -> str:
    if not files:
        return f"cluster {here.cluster}: nothing to copy"
    size = human_bytes(sum(one.bytes for one in files))
    return f"cluster {here.cluster}: {len(files)} files, {size}, {files[0].own} to {files[-1].own}"


def compare(context: Context, *, to: str, staging: str) -> Facts:
    """Compare what both stores have under one name. Raises Refused when it isn't the same."""
    workspace = context.workspace
    source, target = workspace.store(), workspace.store(to)
    directory, done = _directory(workspace, staging), list[str]()
    for here, there in sides(source, target):
        for one in here.suspects(there):
            _check_same(source, target, here.cluster, one, there.files[one.plain], directory)
            done.append(one.own)
    return {"compared": done}


def copy(context: Context, *, to: str, staging: str) -> Facts:
    """Copy what the other store lacks, oldest first, and verify each file there.

    Raises FailedPartway when the other store doesn't take it (what was copied until then stays, and is whole), Refused
    when another content appears there, ProblemFound when files of this store are damaged: the others are copied.
    """
    workspace = context.workspace
    source, target = workspace.store(), workspace.store(to)
    target.prepare()
    directory, sent, damaged = _directory(workspace, staging), list[int](), dict[str, str]()
    for _ in range(_ROUNDS):
        pairs = sides(source, target)
        every = [(one, here, there) for here, there in pairs for one in wanting(source, here, there)]
        every = [one for one in every if one[0].name not in damaged]
        for number, (one, here, there) in enumerate(every, start=1):
            try:
                wrong = _carry(source, target, one, here, there, directory)
            except FailedPartway as error:
                fact = f"{len(sent)} WAL files were copied to {target.url}, then an error: {error.fact}"
                raise FailedPartway(fact, error.hint or f"to continue: tabsync wal copy --to {to}") from error
            if wrong:
                damaged[one.name] = wrong
            elif one.plain in there.files:
                sent.append(one.bytes)
            context.report(number, len(every), "files")
        for here, there in pairs:
            _mark_end(target, here, there)
        if all(one.plain in there.files or one.name in damaged for one, _, there in every):
            break  # nothing went from this store while it was being copied
    if damaged:
        (name, wrong), more = next(iter(damaged.items())), len(damaged) - 1
        told = f"{name} in {source.url} {wrong}" + (f", and {more} more are corrupt" if more else "")
        raise ProblemFound(
            f"{told}; the other files were copied", "start a new recovery window: tabsync backup take physical"
        )
    ends = [there.to_json() for _, there in sides(source, target)]
    return {"store": target.url, "files": len(sent), "bytes": sum(sent), "clusters": ends}


def tidy(context: Context, *, to: str, staging: str) -> Facts:
    """Remove the staging directory of the copy."""
    workspace = context.workspace
    with contextlib.suppress(Refused):  # it is another copy's, which kept this one from beginning
        workspace.delete(workspace.home / "staging" / staging)
    return {}


def _carry(source: Store, target: Store, one: Copied, here: Side, there: Side, directory: Path) -> str:
    """Copy one file and verify it, and note that it is there; says what is wrong with it in this store, if anything.

    One that is gone from this store meanwhile is left out.
    """
    path, back, name = directory / "file", directory / "back", f"{folder(here.cluster)}/{one.name}"
    if not source.fetch_file(name, path):
        return ""
    if wrong := _harm(path, one):
        return wrong
    made = target.create_file(name, path)
    there.add(one)
    if one.whole and here.size:
        _mark(target, there, one.whole, here)
    if made:
        if not target.fetch_file(name, back) or digest_of(back) != digest_of(path):
            target.remove_file(name)
            raise FailedPartway(
                f"{one.own} differs from what was sent when it is read back", "check the storage of the target"
            )
    elif not one.partial:  # it came there since it was listed; an open one's name says how much of it it is
        _check_same(source, target, here.cluster, one, one, directory)
    _forget(target, there, there.superseded_by(one))
    return ""


def _mark(target: Store, there: Side, name: str, here: Side) -> None:
    """Say behind a segment until when everything is surely there with it."""
    following = there.following(name).name(there.size)
    if not there.open.get(following) and f"{following[:16]}/{following}.zst" not in there.files:
        _put_mark(target, there, Partial(following, 0, there.surely(name, [*here.bases, *there.bases])))


def _mark_end(target: Store, here: Side, there: Side) -> None:
    """Where this store has no open segment, for lack of a receiver, its last one ends when it was stored here."""
    last, far = here.last, there.last
    if last is None or far is None or last.whole != far.whole or not here.size:
        return  # it isn't there as far as here
    following = here.following(last.whole).name(here.size)
    # A receiver stores the open segment soon after the last whole one, and then tells more exactly what is there.
    if not here.open.get(following) and clock.now() - last.modified > _NOBODY_RECEIVES:
        _put_mark(target, there, Partial(following, 0, last.modified))


def _put_mark(target: Store, there: Side, mark: Partial) -> None:
    name = partial_name(there.cluster, mark).removeprefix(f"{folder(there.cluster)}/")
    if name in there.files:
        return
    store_partial(target, there.cluster, None, mark)
    made = Copied(f"{name}{SEALED}" if target.keys.encrypting else name, 0, mark.until)
    there.add(made)
    _forget(target, there, there.superseded_by(made))


def _forget(target: Store, there: Side, files: list[Copied]) -> None:
    for one in files:
        target.remove_file(f"{folder(there.cluster)}/{one.name}")
        there.remove(one)


def _check_same(source: Store, target: Store, cluster: str, one: Copied, other: Copied, directory: Path) -> None:
    """Read a whole file from both stores; what is encrypted need not be the same in bytes. Raises Refused."""
    raw, digests, path = [], [], directory / one.own
    for store, file in ((source, one), (target, other)):
        if not store.fetch_file(f"{folder(cluster)}/{file.name}", path):
            return  # gone since it was listed
        raw.append(digest_of(path))
        path.unlink()
    if raw[0] == raw[1]:
        return
    for store in (source, target):
        try:
            if not fetch(store, cluster, one.own, path):
                return
        except NotAllowed as error:
            told = f"{one.own} is already in {target.url}, but encrypted separately: it can't be compared"
            raise Refused(told, error.hint) from None
        except ProblemFound:
            if store is source:
                return  # nobody can tell any more; what is there is perhaps the better one
            told = f"{one.own} in {target.url} is corrupt"
            raise ProblemFound(told, f"delete {folder(cluster)}/{other.name} there, and it is copied again") from None
        except BadUsage:  # it is nothing that PostgreSQL archives: then only its bytes count
            digests = raw
            break
        digests.append(digest_of(path))
        path.unlink()
    if digests[0] != digests[1]:
        raise Refused(
            f"{target.url} already has a different {one.own}",
            "two servers write to these stores: give each a store, or a prefix, of its own",
        )


def _harm(path: Path, one: Copied) -> str:
    """What is wrong with a stored file, as far as it can be told without a key."""
    if one.name.endswith(SEALED):
        return ""
    try:
        with path.open("rb") as file:
            for _ in zstandard.ZstdDecompressor().read_to_iter(file):
                pass
    except zstandard.ZstdError:
        return "is corrupt"
    return ""


def _directory(workspace: Workspace, staging: str) -> Path:
    directory = workspace.home / "staging" / staging
    workspace.hold(directory)
    return directory
