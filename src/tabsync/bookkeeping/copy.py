"""tabsync ledger copy: a consistent copy of the ledger goes to the store, compressed, encrypted as backups are."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused, words_of
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument, Nothing
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_bytes
from tabsync.ledger.evidence import NO_DATABASE, add_evidence

if TYPE_CHECKING:
    from tabsync.stores.store import Store
    from tabsync.workspace import Context, Workspace

FOLDER = "ledger"
"""Where the copies are in the store."""

KEPT = 14
"""How many copies the store keeps, the newest."""

_NUMBER = re.compile(r"(\d{6})-")
_LEVEL = 6  # of zstd: it is done once a night, and the file is small


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one may ask of ledger fetch."""

    file: Annotated[Path, Argument("Where the ledger is written to; a file that is there is not replaced.")]


def plan_copy(workspace: Workspace, _request: Nothing) -> Plan:
    """Plan a copy. Raises Refused when the ledger is in PostgreSQL: it is backed up there."""
    if not workspace.ledger().is_sqlite:
        raise Refused(
            "the ledger is in PostgreSQL, which has backups of its own", "take them as of any database: pg_dump"
        )
    name = f"{FOLDER}/{_next_number(workspace.store()):06d}-{compact(now())}-{secrets.token_hex(2)}.sqlite.zst"
    return Plan(
        procedure="ledger copy",
        title=f"Copy the ledger into {workspace.store().url}",
        target={"store": workspace.store().url},
        steps=(
            Step(
                "copy",
                "Copy the ledger, check the copy, and store it",
                call(copy, name=name),
                f"SQLite's own backup, PRAGMA integrity_check, zstd; {name}; the {KEPT} newest are kept",
                risk=Risk.REVERSIBLE,
                undo="no undo needed: it is a copy",
            ),
        ),
    )


def copy(context: Context, *, name: str) -> Facts:
    """Store a copy, and delete those that are more than KEPT."""
    import zstandard

    workspace = context.workspace
    store = workspace.store()
    store.prepare()
    with _place(workspace) as directory:
        plain, packed = directory / "ledger.sqlite", directory / "ledger.sqlite.zst"
        _back_up(workspace.ledger().url.removeprefix("sqlite:///"), plain)
        with plain.open("rb") as source, packed.open("wb") as target:
            packer = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
            packer.copy_stream(source, target, size=plain.stat().st_size)
        size = packed.stat().st_size
        store.put_file(name, packed)
    copies = sorted(one.name for one in store.files(FOLDER))
    for old in copies[:-KEPT]:
        store.delete_file(f"{FOLDER}/{old}")
    facts = {"copy": name, "bytes": size, "kept": min(len(copies), KEPT), "store": store.url}
    add_evidence(workspace.ledger(), "ledger", NO_DATABASE, ok=True, facts=facts, run_id=context.run_id)
    return facts


def show_copy(done: Done[Workspace, Nothing]) -> Page:
    """What was stored."""
    told = done.results["copy"]
    page = Page("ledger copy", told)
    page.line((f"Copied the ledger, {human_bytes(told['bytes'])}", "good"), f": {told['copy']} in {told['store']}")
    return page


def look_fetch(workspace: Workspace, request: Fetch) -> Page:
    """Bring the newest copy back to a file. Raises BadUsage when there is none, or the file is there already."""
    if request.file.exists():
        raise BadUsage(f"{request.file} exists already", "name another file, or move it away")
    store = workspace.store()
    copies = sorted(one.name for one in store.files(FOLDER))
    if not copies:
        raise BadUsage(f"{store.url} has no copy of a ledger", "to make one: tabsync ledger copy")
    name = f"{FOLDER}/{copies[-1]}"
    with _place(workspace) as directory:
        packed, plain = directory / "fetched.zst", directory / "fetched.sqlite"
        if not store.get_file(name, packed):
            raise ProblemFound(f"{name} is not in the store any more", "try again")
        _unpack(packed, plain)
        _check(plain)
        shutil.copyfile(plain, request.file)
        request.file.chmod(0o600)
    page = Page("ledger fetch", {"copy": name, "file": str(request.file)})
    page.line(f"{request.file} is the ledger as it was in {name}.", whole=True)
    page.line('To use it: move it to where the ledger is, or name it in tabsync.toml: ledger = "sqlite:///FILE"')
    return page


def _next_number(store: Store) -> int:
    """Copies are in the order of their numbers: two may be of one second, and a clock may be set back."""
    numbers = [int(number[1]) for one in store.files(FOLDER) if (number := _NUMBER.match(one.name))]
    return 1 + max(numbers, default=0)


def _back_up(source: str, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as made:
            live.backup(made)
    except sqlite3.Error as error:
        raise FailedPartway(f"the ledger could not be copied: {words_of(error)}", "check its disk") from None
    _check(target)


def _unpack(packed: Path, plain: Path) -> None:
    """Raises ProblemFound when it is not whole: a frame that is cut off is none to zstd, which says nothing."""
    import zstandard

    try:
        with packed.open("rb") as source, plain.open("wb") as target:
            expected = zstandard.frame_content_size(source.read(32))
            source.seek(0)
            zstandard.ZstdDecompressor().copy_stream(source, target)
    except zstandard.ZstdError as error:
        raise ProblemFound(f"the copy of the ledger is damaged: {error}", "take another copy of the store") from None
    if plain.stat().st_size != expected:
        raise ProblemFound("the copy of the ledger is damaged: it is cut off", "take another copy of the store")


def _check(path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as made:
            found = made.execute("pragma integrity_check").fetchone()
    except sqlite3.Error as error:
        raise ProblemFound(f"the copy of the ledger can't be read: {words_of(error)}", "try again") from None
    if found != ("ok",):
        raise ProblemFound(f"the copy of the ledger is damaged: {found[0]}", "look at the ledger's disk")


@contextmanager
def _place(workspace: Workspace) -> Iterator[Path]:
    directory = workspace.home / "staging" / f"ledger-{secrets.token_hex(4)}"
    workspace.hold(directory, what="the copy of the ledger")
    try:
        yield directory
    finally:
        workspace.delete(directory)
