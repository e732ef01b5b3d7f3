"""Finds the workspace of a command: from its options, the environment, and tabsync.toml."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tabsync.kernel.errors import BadUsage
from tabsync.stores.keys import Keys
from tabsync.system.config import CONFIG_NAME, ELSEWHERE, config_path
from tabsync.system.profiles import load_profile
from tabsync.workspace.settings import Settings, read_settings
from tabsync.workspace.workspace import Workspace

PLAIN_MANUAL = Path(__file__).parents[1] / "profiles" / "plain" / "manual.md"
"""For a database that has no manual yet: it names no table. tests/unit/init/test_texts.py writes it from init's."""

SHIPPED = "tabsync"
"""The profile that ships with the program: a tabsync.toml that names neither manual nor profile goes by its manual."""


def find(
    config: Path | None = None, *, database: str | None = None, store: str | None = None, anything: bool = False
) -> Workspace:
    """The workspace of this command.

    config: --config, else TABSYNC_CONFIG, else ./tabsync.toml, else the demo's when there is one here and no PG*
    variable names another database. database, store: --database and --store, which may be a name of `[stores]`.
    anything: also where nothing names one.
    Raises BadUsage when the file is missing or has something in it that isn't known.
    """
    path = config_path(config, database)
    named = ELSEWHERE | {"TABSYNC_STORE", "TABSYNC_HOME"}  # archive_command and the like need no database
    if path is None and not (anything or database or store or named & os.environ.keys()):
        raise BadUsage(
            f"there is no {CONFIG_NAME} in this directory, and no database is named",
            "create one: tabsync init URL; or name the database with --database or the PG* variables",
        )
    settings = read_settings(path)
    base = path.parent.resolve() if path else Path.cwd()
    default_home = base if path and path.resolve().parent.name == "demo" else base / ".tabsync"
    home = Path(_from(base, settings, "home") or default_home).resolve()
    remote, directory = _store_place(_named_store(store, settings, base), settings, base, home)
    return Workspace(
        home=home,
        conninfo=database or settings["database"],
        store_root=directory,
        store_url=remote,
        stores=tuple((name, _spelled(one.value, base)) for name, one in settings.stores.items()),
        keys=_keys(settings, base),
        channels=tuple((name, one.value) for name, one in settings.channels.items()),
        public_url=settings["console.public_url"].rstrip("/"),
        collector_user=settings["collector.user"],
        emergency=tuple(settings["emergency.databases"]),
        emergency_user=settings["emergency.user"],
        pgbouncer=settings["pgbouncer.url"],
        apps={name: one.value for name, one in settings.apps.items()},
        provider=settings["provider.name"],
        project=settings["provider.project"],
        metrics_key=_from(base, settings, "provider.metrics_key_file"),
        manual_path=_manual(settings, path, base),
        profile=settings["profile"],
        profile_settings={name: one.value for name, one in settings.profile.items()},
        ledger_url=settings["ledger"] or f"sqlite:///{home / 'ledger.sqlite'}",
        jobs=settings["jobs"],
        name=settings["name"],
        wal_budget=settings["wal.budget"],
        service_name=settings["service.name"] or socket.gethostname(),
        at_once=settings["service.at_once"],
        history_size=settings["history.max_size"],
        migrations=_from(base, settings, "migrations.folder"),
        emergency_journal=str(base / Path(journal).expanduser()) if (journal := settings["emergency.journal"]) else "",
        heartbeat=settings["heartbeat.url"],
        config_path=path.resolve() if path else None,
    )


def _manual(settings: Settings, config: Path | None, base: Path) -> Path:
    """The manual that is named, or the profile's; without a tabsync.toml, one that speaks of no table in particular."""
    if settings["manual"]:
        return (base / str(settings["manual"])).resolve()
    profile = settings["profile"] or (SHIPPED if config else "")
    return load_profile(profile).manual if profile else PLAIN_MANUAL


def _from(base: Path, settings: Settings, name: str) -> Path | None:
    """A path that a setting names: from where the file lies, or, in the environment, from where one is."""
    one = settings.values[name]
    if not one.value:
        return None
    return Path(one.value) if one.origin == one.setting.env else base / one.value


def _store_place(option: str | None, settings: Settings, base: Path, home: Path) -> tuple[str, Path]:
    """The URL of a remote store ("" for none) and the directory of a local one."""
    from tabsync.stores.address import parse_address

    one = settings.values["store"]
    given = option or (one.value if one.origin == one.setting.env else "")
    address = parse_address(given or one.value or str(home / "store"))
    if isinstance(address, Path):
        return "", (address if given else base / address).resolve()
    return str(address), home / "store"


def _named_store(option: str | None, settings: Settings, base: Path) -> str | None:
    """What --store says: the place of a store of tabsync.toml, by its name, or a place itself."""
    places = (one.value for name, one in settings.stores.items() if option and name.lower() == option.lower())
    place = next(places, None)
    return option if place is None else _spelled(place, base)


def _spelled(place: str, base: Path) -> str:
    """A store of tabsync.toml as it is opened: a directory is meant from where the file lies."""
    from tabsync.stores.address import parse_address

    address = parse_address(place)
    return str((base / address).resolve()) if isinstance(address, Path) else str(address)


def _keys(settings: Settings, base: Path) -> Keys:
    identity, signing = settings["keys.identity"], settings["keys.signing"]
    return Keys(
        recipients=tuple(settings["keys.recipients"]),
        identity=base / Path(identity).expanduser() if identity else None,
        signing=base / Path(signing).expanduser() if signing else None,
        trusted=tuple(settings["keys.trusted"]),
    )
