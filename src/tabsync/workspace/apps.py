"""The tables [app.NAME] of tabsync.toml: which application it is, and how it is restarted; checked as they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import BadUsage

APPS = "app"
EXAMPLE = '[app.{name}]\n  kind = "command"\n  restart = ["systemctl", "restart", "{name}"]'
"""What to add for an application that isn't configured."""

_ALWAYS: Mapping[str, type] = {"kind": str, "timeout": int, "variable": str}
_KINDS: Mapping[str, Mapping[str, type]] = {
    "command": {"restart": list, "logs": list, "switch": list, "environment": list},
    "systemd": {"unit": str, "user": bool, "env_file": str},
    "kubernetes": {
        "deployment": str,
        "namespace": str,
        "container": str,
        "key": str,
        "kubeconfig": str,
        "context": str,
    },
    "azure": {
        "app": str,
        "resource_group": str,
        "subscription": str,
        "container": str,
        "url": str,
        "login_url": str,
    },
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "command": (),
    "systemd": ("unit",),
    "kubernetes": ("deployment",),
    "azure": ("app", "resource_group"),
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:\\-]{0,252}")
"""What units, Deployments and apps are called: nothing that a program could take for an option or a path."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAINLY = ("unit", "deployment", "namespace", "container", "app", "subscription")
_LONGEST = 3600


def check_app(path: Path, key: str, table: Any) -> None:
    """Check one table. key: "app.backend". Raises BadUsage, naming what is wrong and what to write."""
    name = key.partition(".")[2]
    if not isinstance(table, dict) or not name:
        raise BadUsage(f"{path}: [{APPS}] must have a table for each application", EXAMPLE.format(name="backend"))
    if not _NAME.fullmatch(name):
        raise BadUsage(f"{path}: {name!r} can't be the name of an application", "use letters, digits, - and _")
    kind = str(table.get("kind", ""))
    if kind not in _KINDS:
        raise BadUsage(f"{path}: [{key}] has no known kind", f"kind is one of {', '.join(_KINDS)}")
    known = {**_ALWAYS, **_KINDS[kind]}
    for one, value in table.items():
        _check_value(path, key, one, value, known)
    for one in _REQUIRED[kind]:
        if not table.get(one):
            raise BadUsage(f"{path}: [{key}] has no {one}", f'add to it: {one} = "..."')
    if kind == "command" and not any(table.get(one) for one in ("restart", "logs", "switch")):
        raise BadUsage(f"{path}: [{key}] names no command", EXAMPLE.format(name=name))


def _check_value(path: Path, key: str, one: str, value: Any, known: Mapping[str, type]) -> None:
    if one not in known:
        near = get_close_matches(one, known, 1, 0.5)
        about = f"did you mean {near[0]}? " if near else ""
        raise BadUsage(f"{path}: {one!r} is not a setting of [{key}]", f"{about}it has {', '.join(known)}")
    if type(value) is not known[one]:
        kind, given = known[one].__name__, type(value).__name__
        raise BadUsage(f"{path}: {key}.{one} must be of type {kind}", f"it is of type {given}")
    if isinstance(value, list) and not (value and all(isinstance(word, str) and word for word in value)):
        raise BadUsage(f"{path}: {key}.{one} must contain strings", f'{one} = ["PROGRAM", "ARGUMENT"]')
    if isinstance(value, int) and one == "timeout" and not 1 <= value <= _LONGEST:
        raise BadUsage(f"{path}: {key}.timeout is {value}", f"it is in seconds: 1 to {_LONGEST}")
    if one == "variable" and not _VARIABLE.fullmatch(str(value)):
        raise BadUsage(f"{path}: {key}.variable can't be the name of a variable", 'write variable = "DATABASE_URL"')
    if one in _PLAINLY and not _PLAIN.fullmatch(str(value)):
        raise BadUsage(f"{path}: {key}.{one} is {value!r}", "it is a name: letters, digits, - _ . @ : only")


def shown_app(table: Mapping[str, Any]) -> str:
    """A table for people: which application it is. Arguments of commands may hold a password, and are left out."""
    what = table.get("unit") or table.get("deployment") or table.get("app")
    programs = dict.fromkeys(str(table[one][0]) for one in ("restart", "logs", "switch") if table.get(one))
    return f"{table['kind']}: {what or ', '.join(programs)}"
