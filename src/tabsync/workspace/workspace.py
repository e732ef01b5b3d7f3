"""The wiring of one command: which database, which store, which manual, where our own state lives."""

from __future__ import annotations

import atexit
import getpass
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tabsync.kernel.errors import Refused
from tabsync.kernel.step import Context as StepContext
from tabsync.stores.keys import Keys

if TYPE_CHECKING:
    from tabsync.ledger.journal import LedgerJournal
    from tabsync.ledger.open import Ledger
    from tabsync.postgres.connect import Connection
    from tabsync.postgres.settings import Limits
    from tabsync.stores.store import Store
    from tabsync.system.claims import Claim


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where everything is. conninfo: as given, a password in it never leaves the process except by environment.

    home: our state (ledger, scratch servers, runs); jobs: how many connections a dump or a restore uses.
    store_url: az://, s3:// or gs://; without it the store is the directory store_root. stores: where the stores are
    that the manual's Retention table names; keys: what encrypts and signs backups. provider, project: who runs the
    server ("supabase") and under which reference; without them the host's name tells. service_name: what this machine's
    service is called; at_once: how many runs of the schedule go at a time; heartbeat: where a sign of life is sent to;
    history_size: how large the history of what was measured may get; collector_user: the role that measures, if it is
    another one; metrics_key: the file with the key for the provider's figures of its machine. emergency: connection
    strings that may still get in when all connections are in use; emergency_user: the role of the session that the
    service keeps for then, if it is another one; emergency_journal: the directory for records while the ledger can't be
    written; unrecorded: why somebody has a plan carried out that can't be recorded anywhere; parent_run: the run that
    what is run in it belongs to. apps: the tables of the applications, by name; secrets: what a person has typed for
    this command and what no plan may hold, by name: a step finds it here. migrations: the folder of the
    application's migrations, or its project. profile: the name of the profile that is in use, and its settings.
    """

    home: Path
    conninfo: str = field(repr=False)
    store_root: Path
    manual_path: Path
    ledger_url: str = field(repr=False)
    jobs: int = 2
    name: str = ""
    config_path: Path | None = None
    actor: str = ""
    store_url: str = field(default="", repr=False)
    stores: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    keys: Keys = field(default_factory=Keys)
    wal_budget: str = "10GB"
    provider: str = ""
    project: str = ""
    service_name: str = ""
    at_once: int = 2
    heartbeat: str = field(default="", repr=False)
    channels: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    public_url: str = ""
    collector_user: str = ""
    emergency: tuple[str, ...] = field(default=(), repr=False)
    emergency_user: str = ""
    pgbouncer: str = field(default="", repr=False)
    apps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    history_size: str = "1GB"
    migrations: Path | None = None
    profile: str = ""
    profile_settings: Mapping[str, str] = field(default_factory=dict)
    metrics_key: Path | None = None
    parent_run: str = ""
    emergency_journal: str = ""
    unrecorded: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    _open: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def servers(self) -> Path:
        """Where servers of ours live: in home, or where the account that runs them can reach."""
        from tabsync.system.account import reachable_place

        return reachable_place(self.home / "servers")

    def scratch(self, name: str = "") -> Path:
        """The directory of one scratch server, or the one that holds them all; each is claimed by its user."""
        return self.servers() / "scratch" / name

    def connect(self, purpose: str, limits: Limits | None = None) -> Connection:
        """A session to the database that is looked after."""
        from tabsync.postgres.connect import connect

        return connect(self.conninfo, purpose, limits=limits)

    def connect_to_measure(self, limits: Limits) -> tuple[Connection, tuple[str, ...]]:
        """A session of the collector to the same database, as the role that only measures where there is one.

        Gives it with what its transactions begin with; see connect_to_look().
        """
        from tabsync.postgres.connect import connect_to_look

        return connect_to_look(self.conninfo_as(self.collector_user), "collector", limits)

    def conninfo_as(self, user: str) -> str:
        """The connection string of the database as another role, whose password is in the passfile; "": as it is."""
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        if not user:
            return self.conninfo
        parts = conninfo_to_dict(self.conninfo) | {"user": user}
        parts.pop("password", None)
        return make_conninfo("", **parts)

    def conninfo_to(self, database: str) -> str:
        """A connection string to another database of the same server."""
        from psycopg.conninfo import make_conninfo

        return make_conninfo(self.conninfo, dbname=database)

    def ledger(self) -> Ledger:
        """The ledger, opened once."""
        from tabsync.ledger.open import open_ledger
        from tabsync.ledger.patience import SPARED, WAITED
        from tabsync.ledger.sqlite_file import CannotOpen

        if "ledger" not in self._open:
            until, error = self._open.get("no ledger", (0.0, None))
            if time.monotonic() < until:
                raise error  # somebody keeps it locked: a command must not wait for it again and again
            begun = time.monotonic()
            try:
                self._open["ledger"] = open_ledger(self.ledger_url, self.home / "runs", self.emergency_journal)
            except CannotOpen as failed:
                if time.monotonic() - begun >= WAITED:
                    self._open["no ledger"] = (time.monotonic() + SPARED, failed)
                raise
        ledger: Ledger = self._open["ledger"]
        ledger.emergency.unrecorded = self.unrecorded
        return ledger

    def record(self) -> Ledger:
        """The ledger for whoever records a run; where it can't be opened, that goes to the emergency journal."""
        from tabsync.ledger.open import unopened
        from tabsync.ledger.sqlite_file import CannotOpen

        try:
            return self.ledger()
        except CannotOpen as error:
            closed = unopened(self.ledger_url, self.home / "runs", self.emergency_journal, error.fact)
            closed.emergency.unrecorded = self.unrecorded
            return closed

    def journal(self) -> LedgerJournal:
        """A journal for the runner, in the name of whoever uses this workspace."""
        from tabsync.ledger.journal import LedgerJournal

        if not self.store_url:  # often on the same disk, and what is run now may be what makes room on it
            self.store().make_room()
        return LedgerJournal(self.record(), self.journal_actor(), self.manual_digest(), self.parent_run)

    def journal_actor(self) -> str:
        """In whose name this workspace is used."""
        return self.actor or login()

    def store(self, place: str = "") -> Store:
        """The store of backups, or another one by its path or URL."""
        where = place or self.store_url or self.store_root
        if f"store {where}" not in self._open:
            from tabsync.stores.open import open_store

            # Dumps for a remote store are made here; claims keep those of several runs apart.
            self._open[f"store {where}"] = open_store(where, self.home / "staging", self.keys)
        store: Store = self._open[f"store {where}"]
        return store

    def store_place(self, store: str) -> str:
        """Where a store is: by its name in tabsync.toml, else it is a directory or URL already."""
        return next((place for name, place in self.stores if name.lower() == store.lower()), store)

    def hold(
        self, directory: Path, on_exit: Literal["delete", "release"] = "delete", what: str = "", hint: str = ""
    ) -> Claim:
        """Claim a directory and keep it until it is deleted or released, or until this process ends.

        on_exit: what becomes of it then; what, hint: it in words, and what to do, where another process has it.
        Raises Refused when another process has it.
        """
        from tabsync.system.claims import claim

        held = self._held()
        if directory not in held:
            taken = claim(directory)
            if taken is None:
                todo = hint or "wait until it ends; to see it: tabsync run list"
                raise Refused(f"another process is using {what or directory}", todo)
            held[directory] = (taken, on_exit)
        return held[directory][0]

    def holds(self, directory: Path) -> bool:
        """Whether this process holds a directory."""
        return directory in self._held()

    def delete(self, directory: Path) -> None:
        """End what still works in a directory, delete it and give its claim up; no-op when it isn't there."""
        held = self._held()
        if directory in held or directory.exists():
            self.hold(directory).remove()
            del held[directory]

    def release(self, directory: Path) -> None:
        """Give the claim of a held directory up, and leave what is in it."""
        self._held().pop(directory)[0].release()

    def _held(self) -> dict[Path, tuple[Claim, str]]:
        if "claims" not in self._open:
            self._open["claims"] = {}
            # What an interrupt kept from being deleted in order is deleted at the latest when the process ends.
            atexit.register(self._abandon)
        held: dict[Path, tuple[Claim, str]] = self._open["claims"]
        return held

    def _abandon(self) -> None:
        from tabsync.postgres.embedded import end_server

        for directory, (_, on_exit) in list(self._held().items()):
            if on_exit == "delete":
                end_server(directory)
                self.delete(directory)
            else:
                self.release(directory)

    def manual_digest(self) -> str:
        """SHA-256 of the manual, hex; "" when it can't be read."""
        try:
            return hashlib.sha256(self.manual_path.read_bytes()).hexdigest()
        except OSError:
            return ""

    def close(self) -> None:
        """Close what was opened."""
        ledger = self._open.pop("ledger", None)
        if ledger is not None:
            ledger.close()


Context: TypeAlias = StepContext[Workspace]
"""What the function of a step gets besides its arguments."""


def with_actor(workspace: Workspace, actor: str) -> Workspace:
    """The same workspace, used in somebody's name (an operator of the console)."""
    return replace(workspace, actor=actor)


def login() -> str:
    """Who runs this process: who is logged in, or in whose name a job was started."""
    if actor := os.environ.get("TABSYNC_ACTOR"):
        return actor
    try:
        return getpass.getuser()
    except OSError:
        return f"uid {os.geteuid()}"
