"""The settings of tabsync.toml: all of them, with their types, defaults and environment variables, in one place."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_bytes, parse_bytes
from tabsync.workspace.apps import APPS, check_app, shown_app
from tabsync.workspace.lines import lines_of


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    name: its place in tabsync.toml, "wal.budget" being budget in the table [wal]; before: the name that it had at the
    top of the file, which goes on working; kind: of its value; env: the variable that overrides the file; secret: it
    may hold a password, and is never shown.
    """

    name: str
    help: str
    kind: type = str
    default: Any = ""
    env: str = ""
    before: str = ""
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("database", "connection string of the database that is looked after", env="TABSYNC_DATABASE", secret=True),
    Setting(
        "store", "where backups are: a directory, az://, s3:// or gs:// with a prefix", env="TABSYNC_STORE", secret=True
    ),
    Setting("name", "what this database is called in pages and messages"),
    Setting("manual", "the manual, from where tabsync.toml is"),
    Setting("home", "the directory of the ledger, scratch servers and reports", env="TABSYNC_HOME"),
    Setting("ledger", "SQLAlchemy URL of the ledger", secret=True),
    Setting("jobs", "connections of a dump or restore", int, 2),
    Setting("keys.recipients", "who can decrypt new backups: age recipients", list, (), before="recipients"),
    Setting("keys.identity", "the file that decrypts backups", env="TABSYNC_IDENTITY", before="identity"),
    Setting("keys.signing", "the file that signs backups", env="TABSYNC_SIGNING_KEY", before="signing_key"),
    Setting("keys.trusted", "whose signatures count", list, (), before="trusted_keys"),
    Setting("wal.budget", "how much WAL may wait to be stored", default="10GB", before="wal_budget"),
    Setting("provider.name", "who runs the server: supabase", before="provider"),
    Setting("provider.project", "its reference there", before="project"),
    Setting("collector.user", "the role that measures, its password in the passfile; by default that of database"),
    Setting("emergency.databases", "where to get in when all connections are in use, in order", list, (), secret=True),
    Setting("emergency.user", "the role of the session that tabsync serve keeps for then; by default that of database"),
    Setting("provider.metrics_key_file", "the file with the secret key of the project, for Supabase's Metrics API"),
    Setting("pgbouncer.url", "connection string of PgBouncer's console, database pgbouncer", secret=True),
    Setting("service.name", "what this machine's service is called, for items of the schedule that are on one"),
    Setting("service.at_once", "how many runs of the schedule go at the same time", int, 2),
    Setting("emergency.journal", "the directory where runs are recorded while the ledger can't be written"),
    Setting("migrations.folder", "where the application's migrations are, or its project"),
    Setting("history.max_size", "how large the history of what was measured may get", default="1GB"),
    Setting("console.public_url", "where people reach the console: https://..., for the links in messages"),
    Setting("heartbeat.url", "where a sign of life is sent to: a check of healthchecks.io or the like", secret=True),
)
LEAST_HISTORY = 20 << 20
STORES = "stores"
"""The table of further stores: a place by each name, or a table with the place."""

CHANNELS = "notify"
"""The table of channels: how to reach people, an address of Apprise by each name, or a table with the file it is in."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and where that comes from: "tabsync.toml, line 3", "TABSYNC_HOME", "default"."""

    setting: Setting
    value: Any = field(repr=False)
    origin: str

    @property
    def shown(self) -> str:
        """The value for people, without secrets."""
        if self.setting.name == "heartbeat.url" and self.value:
            scheme, _, rest = str(self.value).partition("://")
            return f"{scheme}://{rest.rpartition('@')[2].partition('/')[0]}/..."  # whoever knows its path may ping it
        if self.setting.name.startswith(f"{APPS}."):
            return shown_app(self.value)
        if self.setting.name.startswith(f"{CHANNELS}."):
            if not self.value:
                return "unknown"
            scheme, separator, _ = str(self.value).partition("://")
            return f"{scheme}://..." if separator and scheme.isalnum() else "***"  # a token may stand anywhere in it
        if self.setting.secret and isinstance(self.value, list | tuple):
            return ", ".join(_without_password(str(one)) for one in self.value)
        if self.setting.secret and self.value and not self._is_directory:
            return _without_password(str(self.value))
        return ", ".join(map(str, self.value)) if isinstance(self.value, list | tuple) else str(self.value)

    @property
    def _is_directory(self) -> bool:
        return self.setting.name.startswith("store") and "://" not in str(self.value)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a command.

    values: by name; stores: places by name; channels: addresses by name; apps: their tables by name; path: the file
    that was read, if any.
    """

    values: Mapping[str, Value]
    stores: Mapping[str, Value]
    path: Path | None
    channels: Mapping[str, Value] = field(default_factory=dict)
    apps: Mapping[str, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value


def read_settings(path: Path | None) -> Settings:
    """The settings of a tabsync.toml, and of the environment. path: None: there is no file.

    Raises BadUsage when the file can't be read, or has something in it that isn't known or isn't of its type.
    """
    given, lines = _flat(path) if path else ({}, {})
    file = path.name if path else ""
    values: dict[str, Value] = {}
    for one in SETTINGS:
        key = one.name if one.name in given else one.before
        variable = os.environ.get(one.env, "") if one.env else ""
        if variable:
            values[one.name] = Value(one, variable, one.env)
        elif key and key in given:
            values[one.name] = Value(one, given[key], f"{file}, line {lines.get(key, 1)}")
        else:
            values[one.name] = Value(one, one.default, "default")
    for name in ("jobs", "service.at_once"):
        if path and values[name].value < 1:
            raise BadUsage(f"{path}: {name} is {values[name].value}", f"{values[name].setting.help}: 1 or more")
    _check_size(path, values["history.max_size"])
    _check_url(path, values["console.public_url"])
    stores = _tables(STORES, _store, file, given, lines)
    apps = _tables(APPS, _app, file, given, lines)
    return Settings(values, stores, path, _channels(path, given, lines), apps)


def _tables(
    table: str, setting: Callable[[str], Setting], file: str, given: Mapping[str, Any], lines: Mapping[str, int]
) -> dict[str, Value]:
    """What a table has, each by its name."""
    return {
        key.removeprefix(f"{table}."): Value(
            setting(key), value, f"{file}, line {lines.get(key, lines.get(f'{key}.kind', 1))}"
        )
        for key, value in given.items()
        if key.startswith(f"{table}.")
    }


def _channels(path: Path | None, given: Mapping[str, Any], lines: Mapping[str, int]) -> dict[str, Value]:
    """The channels, each from the environment, from the file that tabsync.toml names, or from tabsync.toml itself."""
    found: dict[str, Value] = {}
    for key, value in given.items():
        table, _, name = key.partition(".")
        if table != CHANNELS or path is None:
            continue
        name, _, how = name.partition(".")
        variable = f"TABSYNC_NOTIFY_{re.sub('[^A-Za-z0-9]', '_', name).upper()}"
        setting = Setting(f"{CHANNELS}.{name}", "how to reach people: an address of Apprise", env=variable, secret=True)
        origin = f"{path.name}, line {lines.get(key, lines.get(f'{CHANNELS}.{name}', 1))}"
        if address := os.environ.get(variable, ""):
            found[name] = Value(setting, address, variable)
        elif how == "file":
            address, trouble = _address_in(path.parent / Path(value).expanduser())
            found[name] = Value(setting, address, f"{origin}: {value}{trouble}")
        else:
            found[name] = Value(setting, value, origin)
    return found


def _address_in(file: Path) -> tuple[str, str]:
    """The address that a file holds, or why it can't be read, which keeps no other command from working."""
    try:
        return file.read_text(encoding="utf-8").strip(), ""
    except (OSError, UnicodeDecodeError) as error:
        return "", f", which can't be read: {getattr(error, 'strerror', None) or 'it is no text'}"


def _check_size(path: Path | None, one: Value) -> None:
    try:
        if parse_bytes(one.value) >= LEAST_HISTORY:
            return
    except ValueError:
        pass
    hint = f"{one.setting.help}: a size such as 1GB, at least {human_bytes(LEAST_HISTORY)}"
    raise BadUsage(f"{path}: {one.setting.name} is {one.value!r}", hint)


def _check_url(path: Path | None, one: Value) -> None:
    scheme, mark, host = str(one.value).rstrip("/").partition("://")
    plain = mark and scheme in ("http", "https") and re.fullmatch(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", host)
    if one.value and not plain:
        hint = "an address such as https://ops.example.org, and no path: the console's pages begin at /"
        raise BadUsage(f"{path}: {one.setting.name} is {one.value!r}", hint)


def _flat(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of a file by their dotted names, checked, and the lines that they stand in."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise BadUsage(f"can't read {path}: {error.strerror}", "check its permissions") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadUsage(f"{path}: {error}", "compare it with the file that tabsync init writes") from None
    given = dict(_dotted(content))
    known = {name: one for one in SETTINGS for name in (one.name, one.before) if name}
    for key, value in given.items():
        _check(path, key, value, known)
    for one in SETTINGS:
        if one.before and one.before in given and one.name in given:
            raise BadUsage(f"{path}: {one.before} and {one.name} are the same setting", f"delete {one.before}")
    return given, lines_of(text, STORES)


def _dotted(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and above == STORES:
            yield name, value["place"] if [*value] == ["place"] else value  # [stores.NAME] with place = "..."
        elif isinstance(value, dict) and above == CHANNELS:
            yield (f"{name}.file", value["file"]) if [*value] == ["file"] else (name, value)
        elif isinstance(value, dict) and above == APPS:
            yield name, value
        elif isinstance(value, dict):
            yield from _dotted(value, name)
        else:
            yield name, value


def _check(path: Path, key: str, value: Any, known: Mapping[str, Setting]) -> None:
    if key == APPS or key.startswith(f"{APPS}."):
        check_app(path, key, value)
        return
    kind = str if key.startswith((f"{STORES}.", f"{CHANNELS}.")) else known[key].kind if key in known else None
    if key.startswith(f"{STORES}.") and isinstance(value, dict):
        stray = ", ".join(repr(one) for one in value if one != "place") or "place"
        raise BadUsage(f"{path}: {stray} is not a setting of [{key}]", f'a store has a place only: {key} = "..."')
    if key == STORES:
        raise BadUsage(f"{path}: [{STORES}] must be a table with a place by each name", f'[{STORES}]\n  NAME = "PLACE"')
    if key == CHANNELS or (key.startswith(f"{CHANNELS}.") and isinstance(value, dict)):
        raise BadUsage(
            f"{path}: [{CHANNELS}] must have an address by each name",
            f'[{CHANNELS}]\n  mail = "mailto://user@example.org"\n  chat = {{ file = "chat.url" }}',
        )
    if kind is None:
        near = get_close_matches(key, [*known, STORES, CHANNELS, APPS], 1, 0.5)
        about = f"did you mean {near[0]}? " if near else ""
        names = ", ".join(one.name for one in SETTINGS)
        tables = f"[{STORES}], [{CHANNELS}], [{APPS}.NAME]"
        raise BadUsage(f"{path}: {key!r} is not a setting", f"{about}the settings are {names}, {tables}")
    if type(value) is not kind:  # to isinstance, true would be a number
        given = type(value).__name__
        raise BadUsage(f"{path}: {key} must be of type {kind.__name__}", f"it is of type {given}")
    if isinstance(value, list) and not all(isinstance(word, str) for word in value):
        raise BadUsage(f"{path}: {key} must contain only strings", f'{key} = ["...", "..."]')


def _store(key: str) -> Setting:
    return Setting(key, "where this store is", secret=True)


def _app(key: str) -> Setting:
    return Setting(key, "an application: how it is restarted", dict, secret=True)


def _without_password(text: str) -> str:
    from tabsync.postgres.conninfo import without_secrets

    if "://" in text and not text.startswith(("postgres://", "postgresql://")):
        head, _, rest = text.partition("://")
        place, asked, _ = rest.rpartition("@")[2].partition("?")
        return f"{head}://{place}{asked and '?...'}"  # what is asked for may be a password, or a signature
    try:
        return without_secrets(text)
    except BadUsage:
        return "***"
