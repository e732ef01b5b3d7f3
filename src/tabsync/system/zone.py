"""Time zones: which names there are, and which one this machine is in."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from tabsync.kernel.clock import now

_LOCALTIME = Path("/etc/localtime")
_NAME = Path("/etc/timezone")  # Debian's, also where localtime is a copy and no link
_NO_NAMES = ("posix/", "right/", "posixrules", "localtime", "Factory")  # files beside the zones that are none


@cache
def is_zone(name: str) -> bool:
    """Whether there is a time zone of this name. To list them all would read a thousand files."""
    if not name or name.startswith(_NO_NAMES):
        return False
    try:
        return bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


def machine_zone() -> tzinfo:
    """The zone of this machine, by its name where that can be found; else its offset of now."""
    name = zone_name()
    try:
        return ZoneInfo(name) if name else (now().astimezone().tzinfo or UTC)
    except ValueError:  # TZ=UTC+25
        return UTC


def zone_name() -> str:
    """The IANA name of this machine's zone, "" when it has none that can be found.

    TZ goes before everything, and where it is empty or there is no /etc/localtime, the zone is UTC: so does the C
    library, https://sourceware.org/glibc/manual/latest/html_node/TZ-Variable.html
    """
    given = os.environ.get("TZ")
    if given is not None:
        name = given.removeprefix(":") or "UTC"
        return name if is_zone(name) else ""
    if not _LOCALTIME.exists():
        return "UTC"
    linked = os.path.realpath(_LOCALTIME).partition("zoneinfo/")[2].removeprefix("posix/")
    return linked if is_zone(linked) else _written()


def _written() -> str:
    """The name in /etc/timezone, where that is what the clock goes by, in winter and in summer."""
    try:
        name = _NAME.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    year = now().year
    seasons = [datetime(year, month, 1) for month in (1, 7)]
    local = [one.astimezone().utcoffset() for one in seasons]
    return name if is_zone(name) and local == [ZoneInfo(name).utcoffset(one) for one in seasons] else ""
