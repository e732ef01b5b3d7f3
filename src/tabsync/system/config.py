"""Which tabsync.toml is meant: the one that is named, the one that is here, or the demo's."""

from __future__ import annotations

import os
from pathlib import Path

from tabsync.kernel.errors import BadUsage

CONFIG_NAME = "tabsync.toml"
ELSEWHERE = {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "TABSYNC_DATABASE"}
"""Variables that name a database: whoever sets one means neither the demo's nor none."""

_DEMO_CONFIG = Path(".tabsync") / "demo" / CONFIG_NAME


def config_path(config: Path | None, database: str | None = None) -> Path | None:
    """The tabsync.toml of a command; None when there is none. Raises BadUsage when the one that is named is missing."""
    named = config or (Path(os.environ["TABSYNC_CONFIG"]) if "TABSYNC_CONFIG" in os.environ else None)
    if named is not None:
        if not named.is_file():
            raise BadUsage(f"there is no file {named}", "create one: tabsync init URL")
        return named
    if Path(CONFIG_NAME).is_file():
        return Path(CONFIG_NAME)
    if _DEMO_CONFIG.is_file() and not ELSEWHERE & os.environ.keys() and not database:
        return _DEMO_CONFIG
    return None
