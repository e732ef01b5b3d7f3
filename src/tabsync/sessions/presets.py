"""Where default_transaction_read_only is on: of several presets, the most specific one counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import quoted
from tabsync.sessions.found import Preset

_NAME = "default_transaction_read_only"


def read_only(presets: Sequence[Facts], files: Sequence[Facts]) -> tuple[Preset, ...]:
    """Where it is on, first what holds for our own role.

    presets, files: rows of `read_only` and `read_only_in_files`. What a role has of its own beats what its database has
    and that beats the files: https://www.postgresql.org/docs/current/catalog-pg-db-role-setting.html
    """
    mine = sorted((one for one in presets if one["role"] is None or one["ours"]), key=_rank)
    found = [_preset(one, ours=True) for one in mine[:1] if one["is_on"]]
    if not mine and files and files[0]["is_on"]:
        found.append(Preset("the server", _in_files(str(files[0]["file"])), ours=True))
    others: dict[str, Facts] = {}
    for one in sorted((one for one in presets if one["role"] and not one["ours"]), key=_rank):
        others.setdefault(one["role"], one)
    return (*found, *(_preset(one, ours=False) for one in others.values() if one["is_on"]))


def _rank(one: Facts) -> tuple[bool, bool]:
    return one["role"] is None, one["database"] is None


def _preset(one: Facts, *, ours: bool) -> Preset:
    role, database = one["role"], one["database"]
    at = f"database {quoted(database)}" if database else ""
    whose = f"role {quoted(role) if role else 'all'}"
    what = at if at and not role else f"{whose} in {at}" if at else whose
    # A session that is read-only itself may not alter a database or a role.
    return Preset(
        "all roles" if what == "role all" else f"the {what}", f"set {_NAME} = off; alter {what} reset {_NAME}", ours
    )


def _in_files(file: str) -> str:
    if PurePath(file).name == "postgresql.auto.conf":
        return f"alter system reset {_NAME}; select pg_reload_conf()"
    return f"take {_NAME} out of {file}; then: select pg_reload_conf()"
