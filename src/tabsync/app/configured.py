"""The applications of tabsync.toml: each as the integration that its kind names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabsync.kernel.errors import BadUsage
from tabsync.workspace.apps import EXAMPLE

if TYPE_CHECKING:
    from tabsync.providers.application import Application
    from tabsync.workspace import Workspace


def names(workspace: Workspace) -> list[str]:
    """What the applications are called. Raises BadUsage, with the table to add, when there is none."""
    if not workspace.apps:
        raise BadUsage("no application is configured", f"add to tabsync.toml:\n{EXAMPLE.format(name='backend')}")
    return list(workspace.apps)


def application(workspace: Workspace, name: str) -> Application:
    """An application by its name. Raises BadUsage, with the table to add, when there is none of that name."""
    table = workspace.apps.get(name)
    if table is None:
        shown = name if name.isprintable() and "]" not in name else "NAME"
        there = f"tabsync.toml has: {', '.join(workspace.apps)}; or " if workspace.apps else ""
        raise BadUsage(
            f"no application {name!r} is configured", f"{there}add to tabsync.toml:\n{EXAMPLE.format(name=shown)}"
        )
    base = workspace.config_path.parent if workspace.config_path else Path.cwd()
    return _KINDS[table["kind"]](name, {key: one for key, one in table.items() if key != "kind"}, base)


def _command(name: str, table: Mapping[str, Any], base: Path) -> Application:
    from tabsync.providers.command import Command

    argvs: dict[str, Any] = {
        f"{one}_argv": _with_program(table[one], base) for one in ("restart", "logs", "switch") if table.get(one)
    }
    rest = {one: value for one, value in table.items() if one in ("timeout", "variable")}
    return Command(name, passes=tuple(table.get("environment", ())), **argvs, **rest)


def _systemd(name: str, table: Mapping[str, Any], base: Path) -> Application:
    from tabsync.providers.systemd import Systemd

    return Systemd(name, **_with_path(table, "env_file", base))


def _kubernetes(name: str, table: Mapping[str, Any], base: Path) -> Application:
    from tabsync.providers.kubernetes import Kubernetes

    return Kubernetes(name, **_with_path(table, "kubeconfig", base))


def _azure(name: str, table: Mapping[str, Any], _base: Path) -> Application:
    from tabsync.providers.azure import Azure

    return Azure(name, **table)


def _with_program(argv: Sequence[str], base: Path) -> tuple[str, ...]:
    """A command whose program, where it is a path, is meant from where tabsync.toml is: children of ours run in /."""
    program = str(base.absolute() / Path(argv[0]).expanduser()) if "/" in argv[0] else argv[0]
    return program, *argv[1:]


def _with_path(table: Mapping[str, Any], key: str, base: Path) -> dict[str, Any]:
    """The table, with a path in it that is meant from where tabsync.toml is."""
    found = {key: base / Path(table[key]).expanduser()} if key in table else {}
    return {**table, **found}


_KINDS = {"command": _command, "systemd": _systemd, "kubernetes": _kubernetes, "azure": _azure}
