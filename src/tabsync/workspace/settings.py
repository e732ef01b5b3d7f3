"""The settings of a command, read from tabsync.toml and the environment, and checked."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.units import human_bytes, parse_bytes
from tabsync.system.profiles import PROFILE_VARIABLE, load_profile
from tabsync.workspace.apps import APPS, check_app
from tabsync.workspace.lines import lines_of
from tabsync.workspace.setting import CHANNELS, LEAST_HISTORY, SETTINGS, STORES, Setting, Value


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a command.

    values: by name; stores: places by name; channels: addresses by name; apps: their tables by name; profile: the
    profile's own settings, by name; path: the file that was read, if any.
    """

    values: Mapping[str, Value]
    stores: Mapping[str, Value]
    path: Path | None
    channels: Mapping[str, Value] = field(default_factory=dict)
    apps: Mapping[str, Value] = field(default_factory=dict)
    profile: Mapping[str, Value] = field(default_factory=dict)

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
    return Settings(values, stores, path, _channels(path, given, lines), apps, _of_profile(file, given, lines))


def _of_profile(file: str, given: Mapping[str, Any], lines: Mapping[str, int]) -> dict[str, Value]:
    """The settings that the profile declares, of the table that is called as it is."""
    found: dict[str, Value] = {}
    for key, one in _declared(given).items():
        value = given.get(key, one.default)
        setting = replace(one, secret="://" in str(value))  # an address may have a password in it
        origin = f"{file}, line {lines.get(key, 1)}" if key in given else "default"
        found[key.partition(".")[2]] = Value(setting, value, origin)
    return found


def _declared(given: Mapping[str, Any]) -> dict[str, Setting]:
    """What the profile that a file names declares, by dotted names. Raises BadUsage when there is no such profile."""
    name = os.environ.get(PROFILE_VARIABLE) or given.get("profile", "")
    if not name or not isinstance(name, str):
        return {}
    settings = load_profile(name).settings
    return {f"{name}.{one.name}": Setting(f"{name}.{one.name}", one.help, default=one.default) for one in settings}


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
    known = {name: one for one in SETTINGS for name in (one.name, one.before) if name} | _declared(given)
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
