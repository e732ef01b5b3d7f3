"""tabsync locks show: who waits for whom, the session that blocks the others first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Page
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.postgres.prepared import rollback
from tabsync.sessions.found import Root
from tabsync.sessions.seen import Session, by_pid, short
from tabsync.sessions.show import remarks
from tabsync.sessions.way_in import Way, here, way_in

if TYPE_CHECKING:
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Workspace

_ROWS, _DEEPEST, _TEXT = 60, 6, 40
PREPARED = 0
"""What pg_blocking_pids() gives for a prepared transaction, which has no process."""

_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits. blocked_by: process ids; prepared: names of prepared transactions that it waits for."""

    pid: int
    blocked_by: tuple[int, ...]
    mode: str
    what: str
    seconds: float | None
    prepared: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """For what it waits, in words."""
        return f"{self.mode} on {short(self.what, _TEXT)}"


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree. depth: 0 for who blocks and does not wait; also: whom it waits for besides the one above."""

    name: int | str
    depth: int
    also: tuple[int | str, ...] = ()
    in_circle: bool = False


def waiting(way: Way) -> dict[int, Waiting]:
    """Who waits for a lock, by process id. Raises as Way.rows()."""
    rows = way.rows("waiting")
    prepared: dict[int, list[str]] = defaultdict(list)
    if any(PREPARED in row["blocked_by"] for row in rows):
        for one in way.rows("prepared"):
            prepared[one["pid"]].append(str(one["gid"]))
    return {
        row["pid"]: Waiting(
            row["pid"],
            tuple(pid for pid in dict.fromkeys(row["blocked_by"])),
            row["mode"],
            row["what"],
            row["seconds"],
            tuple(prepared[row["pid"]]),
        )
        for row in rows
    }


def blocks(found: Mapping[int, Waiting]) -> Counter[int]:
    """How many sessions wait for each one."""
    return Counter(pid for one in found.values() for pid in one.blocked_by)


def tree(found: Mapping[int, Waiting]) -> list[Node]:
    """Each session once, below one that it waits for; first who blocks most. Of a circle, the lowest process id first.

    A session that waits for several stands below the one that is highest in the tree.
    """
    above = {pid: _named(one) for pid, one in found.items()}
    below: dict[int | str, list[int]] = defaultdict(list)
    for pid, names in above.items():
        for name in names:
            below[name].append(pid)
    roots = sorted((one for one in below if one not in found), key=lambda one: (-len(below[one]), str(one)))
    depths: dict[int | str, int] = {}
    parents: dict[int | str, int | str] = {}
    circles: set[int | str] = set()
    for root in roots:
        _spread(root, below, depths, parents)
    for pid in sorted(found):
        if pid not in depths:  # nobody above it does not wait: a circle, or what hangs on one
            circles.add(pid)
            _spread(pid, below, depths, parents)
    return _listed([*roots, *sorted(circles, key=str)], above, depths, parents, circles)


def root_of(way: Way) -> Root | None:
    """The session, or prepared transaction, that blocks most others and does not wait. Raises as Way.rows()."""
    nodes = tree(waiting(way))
    if not nodes:
        return None
    name = nodes[0].name
    session = by_pid(way, [name]).get(name) if isinstance(name, int) else None
    if session is None:
        return Root(f"process {name}" if isinstance(name, int) else f"a transaction: {in_one_line(name)}")
    return Root(f"process {name}: {session.described()}", session.is_in_transaction)


def look_locks(workspace: Workspace, _request: Nothing) -> Page:
    """Who waits for a lock, and whom for. Raises CannotConnect."""
    with way_in(workspace, "locks") as way:
        server = here(way)
        found = waiting(way)
        pids = {*found, *(pid for one in found.values() for pid in one.blocked_by)} - {PREPARED}
        seen = by_pid(way, sorted(pids))
    nodes = tree(found)
    involved = [seen[pid] for pid in sorted(pids) if pid in seen]
    data: Facts = {"server": server, "through": way.told, "tree": [asdict(one) for one in nodes]}
    data |= {"waiting": [asdict(one) for one in found.values()], "sessions": [one.to_json() for one in involved]}
    page = Page("locks show", data, private=("query", "Waits for, or last statement"))
    if way.told:
        page.line(f"Through {way.told}.", style="quiet")
    if not found:
        page.line(("NOBODY WAITS", "strong good"), " for a lock")
        return page
    roots = sum(not one.depth for one in nodes)
    count = len(found)
    waits = "1 SESSION WAITS" if count == 1 else f"{count} SESSIONS WAIT"
    page.line((waits, "strong warning"), f" for a lock, behind {roots} that {'holds' if roots == 1 else 'hold'} one")
    page.exit_code = Exit.PROBLEM_FOUND
    rows = (_row(one, found, seen) for one in nodes[:_ROWS])
    page.table(("Process", "Application", "State", "For", "Waits for, or last statement"), rows, right=("For",))
    if len(nodes) > _ROWS:
        page.note(f"{len(nodes) - _ROWS} more are not shown; --json has all of them")
    _next(page, nodes[0], seen)
    remarks(page, server, involved)
    return page


def _named(one: Waiting) -> tuple[int | str, ...]:
    """Whom it waits for: process ids, and prepared transactions by their names."""
    pids: tuple[int | str, ...] = tuple(pid for pid in one.blocked_by if pid != PREPARED)
    unknown = (_UNKNOWN,) if PREPARED in one.blocked_by and not one.prepared else ()
    return (*pids, *(f"prepared {gid}" for gid in (*one.prepared, *unknown)))


def _spread(
    root: int | str,
    below: Mapping[int | str, Sequence[int]],
    depths: dict[int | str, int],
    parents: dict[int | str, int | str],
) -> None:
    """Give everyone who waits behind a root their depth, the nearest first."""
    depths[root] = 0
    level: list[int | str] = [root]
    while level:
        following: list[int | str] = []
        for one in level:
            for pid in below.get(one, ()):
                if pid not in depths:
                    depths[pid], parents[pid] = depths[one] + 1, one
                    following.append(pid)
        level = following


def _listed(
    roots: Sequence[int | str],
    above: Mapping[int, tuple[int | str, ...]],
    depths: Mapping[int | str, int],
    parents: Mapping[int | str, int | str],
    circles: set[int | str],
) -> list[Node]:
    children: dict[int | str, list[int | str]] = defaultdict(list)
    for one, parent in parents.items():
        children[parent].append(one)
    nodes, left = [], list(reversed(roots))
    while left:
        one = left.pop()
        names = above.get(one, ()) if isinstance(one, int) else ()
        also = tuple(name for name in names if name != parents.get(one) and name != one)
        nodes.append(Node(one, depths[one], also, one in circles))
        left += reversed(children[one])
    return nodes


def _row(node: Node, found: Mapping[int, Waiting], seen: Mapping[int, Session]) -> tuple[str, ...]:
    indent = "  " * min(node.depth, _DEEPEST) + ("└ " if node.depth else "")
    if isinstance(node.name, str):
        return f"{indent}-", short(node.name, _TEXT), "prepared", "-", "a transaction without a session"
    session, waits = seen.get(node.name), found.get(node.name)
    name = f"{indent}{node.name}"
    if session is None:
        return name, "-", "ended", "-", waits.told if waits else ""
    since = waits.seconds if waits else session.state_seconds
    told = waits.told if waits else session.query_told
    if node.in_circle:
        told = f"waits in a circle: {told}"
    elif node.also:
        told += f"; also for {', '.join(map(str, node.also[:3]))}{' ...' if len(node.also) > 3 else ''}"
    return name, session.name, session.state_told, human_seconds(since) if since is not None else "-", told


def _next(page: Page, first: Node, seen: Mapping[int, Session]) -> None:
    if isinstance(first.name, str):
        gid = first.name.removeprefix("prepared ")
        statement = rollback("" if gid == _UNKNOWN else gid)
        page.hint(f"a prepared transaction is ended by its name, in its database: {statement}")
        return
    session = seen.get(first.name)
    if session is None:
        return
    if session.state == "active":
        page.hint(f"to cancel the statement that blocks the others: tabsync queries cancel {first.name}")
    else:
        page.hint(f"to end the session that blocks the others: tabsync connections terminate {first.name}")
