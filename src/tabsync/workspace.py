"""The wiring: which database, which store, which manual, where our own state lives.

Policy is in the manual; this is `tabsync.toml` and the environment. What is nearer to the person wins: an option on
the command line over the environment over the file.
"""

from __future__ import annotations

import atexit
import getpass
import hashlib
import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.stores.keys import Keys

if TYPE_CHECKING:
    from tabsync.ledger.journal import LedgerJournal
    from tabsync.ledger.open import Ledger
    from tabsync.postgres.connect import Connection
    from tabsync.postgres.settings import Limits
    from tabsync.stores.store import Store
    from tabsync.system.claims import Claim

CONFIG_NAME = "tabsync.toml"
PROFILE_MANUAL = Path(__file__).parent / "profiles" / "tabsync" / "manual.md"
PLAIN_MANUAL = Path(__file__).parent / "profiles" / "plain" / "manual.md"
"""For a database that has no manual yet: it names no table. tests/unit/init/test_texts.py writes it from init's."""

_DEMO_CONFIG = Path(".tabsync") / "demo" / CONFIG_NAME
_ELSEWHERE = {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "TABSYNC_DATABASE"}
"""Variables that name a database: whoever sets one means neither the demo's nor none."""

_KEYS = {
    "database": str,
    "store": str,
    "stores": dict,
    "manual": str,
    "home": str,
    "ledger": str,
    "jobs": int,
    "name": str,
    "recipients": list,
    "identity": str,
    "signing_key": str,
    "trusted_keys": list,
    "wal_budget": str,
    "provider": str,
    "project": str,
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where everything is. conninfo: as given, a password in it never leaves the process except by environment.

    home: our state (ledger, scratch servers, runs); jobs: how many connections a dump or a restore uses.
    store_url: az://, s3:// or gs://; without it the store is the directory store_root. stores: where the stores are
    that the manual's Retention table names; keys: what encrypts and signs backups. provider, project: who runs the
    server ("supabase") and under which reference; without them the host's name tells.
    """

    home: Path
    conninfo: str
    store_root: Path
    manual_path: Path
    ledger_url: str
    jobs: int = 2
    name: str = ""
    config_path: Path | None = None
    actor: str = ""
    store_url: str = ""
    stores: tuple[tuple[str, str], ...] = ()
    keys: Keys = field(default_factory=Keys)
    wal_budget: str = "10GB"
    provider: str = ""
    project: str = ""
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

    def ledger(self) -> Ledger:
        """The ledger, opened once."""
        from tabsync.ledger.open import open_ledger

        if "ledger" not in self._open:
            self._open["ledger"] = open_ledger(self.ledger_url, self.home / "runs")
        ledger: Ledger = self._open["ledger"]
        return ledger

    def journal(self) -> LedgerJournal:
        """A journal for the runner, in the name of whoever uses this workspace."""
        from tabsync.ledger.journal import LedgerJournal

        if not self.store_url:  # often on the same disk, and what is run now may be what makes room on it
            self.store().make_room()
        return LedgerJournal(self.ledger(), self.actor or _login(), self.manual_digest())

    def store(self, place: str = "") -> Store:
        """The store of backups, or another one by its path or URL."""
        where = place or self.store_url or self.store_root
        if f"store {where}" not in self._open:
            from tabsync.stores.open import open_store

            # Dumps for a remote store are made here; claims keep those of several runs apart.
            self._open[f"store {where}"] = open_store(where, self.home / "staging", self.keys)
        store: Store = self._open[f"store {where}"]
        return store

    def hold(self, directory: Path) -> Claim:
        """Claim a directory and keep it until let_go() or the end of this process. Refused when it is held."""
        from tabsync.system.claims import claim

        held = self._held()
        if directory not in held:
            taken = claim(directory)
            if taken is None:
                raise Refused(
                    f"another process is using {directory}", "wait until it ends; to see it: tabsync run list"
                )
            held[directory] = taken
        return held[directory]

    def let_go(self, directory: Path) -> None:
        """End what still works in a held directory, delete it and let go; no-op when it isn't there."""
        held = self._held()
        if directory in held or directory.exists():
            self.hold(directory).remove()
            del held[directory]

    def leave(self, directory: Path) -> None:
        """Let go of a held directory and leave what is in it."""
        self._held().pop(directory).release()

    def _held(self) -> dict[Path, Claim]:
        if "claims" not in self._open:
            self._open["claims"] = {}
            # What an interrupt kept from being taken away in order goes at the latest when the process does.
            atexit.register(self._abandon)
        held: dict[Path, Claim] = self._open["claims"]
        return held

    def _abandon(self) -> None:
        from tabsync.postgres.embedded import end_server

        for directory in list(self._held()):
            end_server(directory)
            self.let_go(directory)

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


def find(
    config: Path | None = None, *, database: str | None = None, store: str | None = None, anything: bool = False
) -> Workspace:
    """The workspace of this command.

    config: --config, else TABSYNC_CONFIG, else ./tabsync.toml, else the demo's when there is one here and no PG*
    variable names another database. database, store: --database and --store. anything: also where nothing names one.
    Raises BadUsage when the file is missing or has something in it that isn't known.
    """
    path = _config_path(config, database)
    named = _ELSEWHERE | {"TABSYNC_STORE", "TABSYNC_HOME"}  # archive_command and the like need no database
    if path is None and not (anything or database or store or named & os.environ.keys()):
        raise BadUsage(
            f"there is no {CONFIG_NAME} in this directory, and no database is named",
            "create one: tabsync init URL; or name the database with --database or the PG* variables",
        )
    values = _read(path) if path else {}
    base = path.parent.resolve() if path else Path.cwd()
    default_home = base if path and path.resolve().parent.name == "demo" else base / ".tabsync"
    home = Path(os.environ.get("TABSYNC_HOME") or base / values.get("home", default_home)).resolve()
    remote, directory = _store_place(store, values.get("store", ""), base, home)
    return Workspace(
        home=home,
        conninfo=database or os.environ.get("TABSYNC_DATABASE") or values.get("database", ""),
        store_root=directory,
        store_url=remote,
        stores=tuple((name, _spelled(place, base)) for name, place in values.get("stores", {}).items()),
        keys=_keys(values, base),
        provider=values.get("provider", ""),
        project=values.get("project", ""),
        manual_path=(base / values["manual"]).resolve() if "manual" in values else _own_manual(path),
        ledger_url=values.get("ledger", f"sqlite:///{home / 'ledger.sqlite'}"),
        jobs=values.get("jobs", 2),
        name=values.get("name", ""),
        wal_budget=values.get("wal_budget", "10GB"),
        config_path=path.resolve() if path else None,
    )


def _own_manual(config: Path | None) -> Path:
    """The manual where none is named: without a tabsync.toml, one that speaks of no table in particular."""
    return PLAIN_MANUAL if config is None else PROFILE_MANUAL


def with_actor(workspace: Workspace, actor: str) -> Workspace:
    """The same workspace, used in somebody's name (an operator of the console)."""
    return replace(workspace, actor=actor)


def _store_place(option: str | None, setting: str, base: Path, home: Path) -> tuple[str, Path]:
    """The URL of a remote store ("" for none) and the directory of a local one."""
    from tabsync.stores.address import parse_address

    given = option or os.environ.get("TABSYNC_STORE", "")
    address = parse_address(given or setting or str(home / "store"))
    if isinstance(address, Path):
        return "", (address if given else base / address).resolve()
    return str(address), home / "store"


def _spelled(place: str, base: Path) -> str:
    """A store of tabsync.toml as it is opened: a directory is meant from where the file lies."""
    from tabsync.stores.address import parse_address

    address = parse_address(place)
    return str((base / address).resolve()) if isinstance(address, Path) else str(address)


def _keys(values: dict[str, Any], base: Path) -> Keys:
    identity = os.environ.get("TABSYNC_IDENTITY") or values.get("identity")
    signing = os.environ.get("TABSYNC_SIGNING_KEY") or values.get("signing_key")
    return Keys(
        recipients=tuple(values.get("recipients", ())),
        identity=base / Path(identity).expanduser() if identity else None,
        signing=base / Path(signing).expanduser() if signing else None,
        trusted=tuple(values.get("trusted_keys", ())),
    )


def _config_path(config: Path | None, database: str | None) -> Path | None:
    named = config or (Path(os.environ["TABSYNC_CONFIG"]) if "TABSYNC_CONFIG" in os.environ else None)
    if named is not None:
        if not named.is_file():
            raise BadUsage(f"there is no file {named}", "create one: tabsync init URL")
        return named
    if Path(CONFIG_NAME).is_file():
        return Path(CONFIG_NAME)
    if _DEMO_CONFIG.is_file() and not _ELSEWHERE & os.environ.keys() and not database:
        return _DEMO_CONFIG
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadUsage(f"can't read {path}: {error.strerror}", "check its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadUsage(f"{path}: {error}", "compare it with the file that tabsync init writes") from None
    for key, value in values.items():
        if key not in _KEYS:
            raise BadUsage(f"{path}: {key!r} is not a setting", f"the settings are {', '.join(_KEYS)}")
        if type(value) is not _KEYS[key]:  # to isinstance, true would be a number
            kind = type(value).__name__
            raise BadUsage(f"{path}: {key} must be of type {_KEYS[key].__name__}", f"it is of type {kind}")
        words = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        if not all(isinstance(word, str) for word in words):
            raise BadUsage(
                f"{path}: {key} must contain only strings", f'{key} = {{ "name" = "place" }} or ["...", "..."]'
            )
    if values.get("jobs", 1) < 1:
        raise BadUsage(f"{path}: jobs is {values['jobs']}", "set the number of connections of a dump, 1 or more")
    return values


def _login() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return f"uid {os.geteuid()}"
