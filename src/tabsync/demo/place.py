"""Where the demo lives, and who runs it now."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.errors import Refused
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.system.account import reachable_place
from tabsync.system.claims import Claim, claim

DATABASE = "tabsync"
PROFILE = "tabsync"
"""The profile whose schema, data and traffic it has."""

MANUAL = PROFILE_MANUAL


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's directory. home: its state and tabsync.toml; server: the claimed directory of its PostgreSQL."""

    home: Path
    server: Path

    @property
    def config(self) -> Path:
        """The demo's tabsync.toml; every command finds it when there is no other."""
        return self.home / "tabsync.toml"

    @property
    def manual(self) -> Path:
        """The demo's manual: its own, so that it can be changed and tried."""
        return self.home / "manual.md"


def place_in(directory: Path) -> Place:
    """The demo of a directory: `.tabsync/demo` in it."""
    home = (
        Path(os.environ["TABSYNC_HOME"]) if "TABSYNC_HOME" in os.environ else directory / ".tabsync" / "demo"
    ).resolve()
    return Place(home, reachable_place(home / "servers") / "demo")


def take(place: Place) -> Claim:
    """Claim the demo. Raises Refused, saying where the other one is, when it runs already."""
    place.server.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    held = claim(place.server)
    if held is None:
        about = running(place)
        where = f" (process {about['pid']})" if "pid" in about else ""
        console = (
            f"open {about['console']}"
            if about.get("console")
            else "wait for it, or stop it with Ctrl-C in its terminal"
        )
        raise Refused(f"a demo is already running in {place.home}{where}", console)
    return held


def end_orphan(directory: Path) -> bool:
    """Stop the server of a demo that was killed; returns whether there was one. A living demo's is left alone."""
    held = claim(directory) if directory.is_dir() else None
    if held is None:
        return False
    from tabsync.postgres.embedded import end_server

    ended = end_server(directory)
    held.release()
    return ended


def running(place: Place) -> dict[str, str]:
    """What the running demo said of itself: pid, console."""
    try:
        about: dict[str, str] = json.loads((place.home / "running.json").read_text())
    except (OSError, ValueError):
        return {}
    return about


def announce(place: Place, console: str = "") -> None:
    """Say where this demo is, for a second one that finds the directory claimed."""
    (place.home / "running.json").write_text(json.dumps({"pid": str(os.getpid()), "console": console}))
