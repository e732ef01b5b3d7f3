"""A history of migrations: what a tool has noted in the database, held against the files in its folder. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TypeAlias

from tabsync.kernel.step import Facts

Order: TypeAlias = tuple[int | str, ...]
Place: TypeAlias = Callable[[str], Order | None]


class State(StrEnum):
    """What became of a migration, by the tool's own table."""

    APPLIED = "applied"
    PENDING = "pending"
    FAILED = "failed"
    RUNNING = "running"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class File:
    """A migration in the folder. order: its place; digests: those under which a tool may have noted it."""

    name: str
    order: Order = ()
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration. started, finished: ISO, "" where the tool doesn't note it; error: what the tool noted of it.

    edited: its file is not what was applied; None where the tool notes no digest. in_folder: None without a folder.
    late: it is pending, and one that comes after it is applied. begun: it comes next, and something is there of it.
    """

    name: str
    state: State
    started: str = ""
    finished: str = ""
    error: str = ""
    digest: str = ""
    edited: bool | None = None
    in_folder: bool | None = None
    late: bool = False
    begun: bool = False

    @property
    def wrong(self) -> bool:
        """Whether a person has to look at it."""
        odd = bool(self.edited) or self.in_folder is False or self.late or self.begun
        return odd or self.state in (State.FAILED, State.RUNNING)

    def to_json(self) -> Facts:
        """It for programs. A history may have 100,000 of them."""
        return {name: getattr(self, name) for name in _FIELDS} | {"wrong": self.wrong}


_FIELDS = [one.name for one in fields(Migration)]


@dataclass(frozen=True, slots=True)
class History:
    """All of one tool. folder: "" where none was found; unknown: what can't be known, in words."""

    tool: str
    table: str
    migrations: tuple[Migration, ...]
    folder: str = ""
    unknown: tuple[str, ...] = field(default=())

    def to_json(self) -> Facts:
        """It for programs."""
        of = {"tool": self.tool, "table": self.table, "folder": self.folder, "unknown": self.unknown}
        return of | {"migrations": [one.to_json() for one in self.migrations]}

    def of(self, *states: State) -> list[Migration]:
        """Those in some states."""
        return [one for one in self.migrations if one.state in states]

    @property
    def wrong(self) -> list[Migration]:
        """Those that a person has to look at."""
        return [one for one in self.migrations if one.wrong]


def with_files(noted: Sequence[Migration], files: Iterable[File], place: Place | None) -> tuple[Migration, ...]:
    """What is noted, held against the files; then what is pending.

    noted: the newest entry of each name; place: by a name, where it stands in the order in which the tool applies them;
    None where there is no one order.
    """
    by_name = {one.name: one for one in sorted(files, key=lambda one: (one.order, one.name))}
    done = [one.name for one in noted if one.state is State.APPLIED]
    last = max((order for name in done if place and (order := place(name)) is not None), default=None)
    found = []
    for one in noted:
        file = by_name.get(one.name)
        edited = one.digest not in file.digests if file and file.digests and one.digest else None
        found.append(replace(one, in_folder=file is not None, edited=edited))
    known = {one.name for one in noted}
    for name, file in by_name.items():
        if name not in known:
            late = place is not None and last is not None and file.order < last
            found.append(Migration(name, State.PENDING, in_folder=True, late=late))
    return tuple(found)
