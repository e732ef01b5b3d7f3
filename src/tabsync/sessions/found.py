"""What connections diagnose has found out, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tabsync.postgres.catalog import quoted

_MANY = 3  # sessions: fewer that wait for a lock are everyday
Network = Literal["answers", "refused", "silent", "no name", "unknown"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that is reached. kind: "role" or "database"; ours: of the role or the database that we look at."""

    kind: str
    name: str
    used: int
    limit: int
    ours: bool = False

    @property
    def told(self) -> str:
        """The limit in words."""
        return f"{self.kind} {quoted(self.name)} has {self.used} of its {self.limit} connections"

    @property
    def remedy(self) -> str:
        """The statement that raises it."""
        return f"alter {self.kind} {quoted(self.name)} connection limit N"


@dataclass(frozen=True, slots=True)
class Preset:
    """Where sessions are made read-only. where: in words; reset: what undoes it; ours: it holds for our own role."""

    where: str
    reset: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """Who holds what others wait for, and does not wait itself. told: who it is, in words."""

    told: str
    in_transaction: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What the server says of its sessions.

    untracked: sessions of which nobody sees what they do; read_only: where default_transaction_read_only is on;
    files_seen: whether the server's files were read for it; at_limit: of any role and database; root: whom most of
    those wait for that wait for a lock, where these are most.
    """

    used: int
    slots: int
    active: int = 0
    idle: int = 0
    in_transaction: int = 0
    waiting: int = 0
    untracked: int = 0
    standby: bool = False
    read_only: tuple[Preset, ...] = ()
    files_seen: bool = True
    sees_all: bool = True
    at_limit: tuple[Limit, ...] = ()
    root: Root | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether most of what is active waits for a lock."""
        return is_stuck(self.waiting, self.active)

    @property
    def described(self) -> str:
        """What its sessions do, in one line."""
        untracked = f", {self.untracked} are not tracked (track_activities is off)" if self.untracked else ""
        hidden = "" if self.sees_all else " (without pg_monitor the state of others is not visible)"
        return (
            f"{self.told} connections are in use: {self.active} active, {self.idle} idle, "
            f"{self.in_transaction} idle in a transaction, {self.waiting} wait for a lock{untracked}{hidden}"
        )

    @property
    def told(self) -> str:
        """How many connections are in use, in words. What is reserved is beside those that anybody can have."""
        more = self.used - self.slots
        reserved = f" and {more} {'reserved one' if more == 1 else 'reserved ones'}" if more > 0 else ""
        return f"{min(self.used, self.slots)} of {self.slots}{reserved}"

    @property
    def is_full(self) -> bool:
        """Whether an ordinary user gets no session any more."""
        return self.used >= self.slots


def is_stuck(waiting: int, active: int) -> bool:
    """Whether so many of the active sessions wait for a lock that it is what everybody waits for."""
    return waiting >= _MANY and 2 * waiting > active


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of PgBouncer, as SHOW POOLS has it. servers: connections to the server, of any state."""

    name: str
    waiting: int
    active: int
    servers: int
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Pooler:
    """What PgBouncer's console says. error: why it says nothing; clients, most: of all pools, and their limit."""

    pools: tuple[Pool, ...] = ()
    clients: int = 0
    most: int = 0
    error: str = ""

    @property
    def stuck(self) -> Pool | None:
        """The pool whose clients wait for long, or for a server that isn't there; the worst of several."""
        stuck = [one for one in self.pools if one.waiting and (one.longest >= 1 or not one.servers)]
        return max(stuck, key=lambda one: (one.longest, one.waiting), default=None)


@dataclass(frozen=True, slots=True)
class Last:
    """Where the database answered last. at: when, in words."""

    host: str
    port: str
    at: str
    directory: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """A data directory on this machine. port: of its postmaster.pid, "" without one; runs: its process is there."""

    directory: str
    port: str = ""
    runs: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What could be found out.

    network: how the address answers before any login; refusal: why no ordinary session was possible, "" when one was;
    through: what else let us in; disk_free: bytes; said: causes that a message points to; text: that message.
    """

    host: str
    port: str
    network: Network = "unknown"
    network_says: str = ""
    refusal: str = ""
    through: str = ""
    room: Room | None = None
    pooler: Pooler | None = None
    last: Last | None = None
    here: tuple[Here, ...] = ()
    disk_free: int | None = None
    said: tuple[str, ...] = ()
    text: str = ""

    @property
    def asked(self) -> bool:
        """Whether there is a message."""
        return bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it is. causes: names of the table of symptoms, two where they can't be told apart; helps: ending
    sessions does; unknown: it was not found out.

    says: one sentence; because: its evidence; unseen: what could not be seen; next: what to do.
    """

    causes: tuple[str, ...]
    says: str
    because: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    helps: bool = False
    unknown: bool = False
    runbooks: tuple[str, ...] = ()
