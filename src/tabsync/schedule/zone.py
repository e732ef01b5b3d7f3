"""The time zone of this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo


def machine_zone() -> tzinfo:
    """The zone of this machine, by its name where that can be found; else its offset of now."""
    name = zone_name()
    return ZoneInfo(name) if name else (datetime.now().astimezone().tzinfo or UTC)


def zone_name() -> str:
    """The IANA name of this machine's zone: from TZ, or from where /etc/localtime points; "" when neither says."""
    given = os.environ.get("TZ", "").removeprefix(":")
    target = os.path.realpath("/etc/localtime")
    linked = target.partition("zoneinfo/")[2]
    for name in (given, linked):
        try:
            if name and ZoneInfo(name):
                return name
        except (KeyError, ValueError, OSError):
            continue
    return ""
