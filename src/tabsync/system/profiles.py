"""The profile that tabsync.toml names: found among the installed packages by its entry point."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.kernel.profile import Profile

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "tabsync.profiles"
"""The group of entry points, https://packaging.python.org/en/latest/specifications/entry-points/"""

PROFILE_VARIABLE = "TABSYNC_PROFILE"
"""Names one where no tabsync.toml does, or another one."""


@cache
def load_profile(name: str) -> Profile:
    """The profile of a name. Raises BadUsage when no installed package has one, or it can't be imported."""
    from importlib.metadata import entry_points  # a tenth of a second that only who names a profile spends

    installed = {one.name: one for one in entry_points(group=GROUP)}
    if name not in installed:
        there = ", ".join(sorted(installed)) or "none"
        raise BadUsage(f"there is no profile {name!r}", f"correct `profile` in tabsync.toml; installed: {there}")
    return _loaded(installed[name])


def _loaded(entry: EntryPoint) -> Profile:
    try:
        found = entry.load()
    except Exception as error:  # whatever a package of somebody else does when it is imported
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadUsage(f"the profile {entry.name!r} can't be loaded: {why}", f"see {entry.value}") from error
    if not isinstance(found, Profile):
        raise BadUsage(f"{entry.value} is no profile", "it must be a tabsync.kernel.profile.Profile")
    return found


def profile_in(config: Path | None) -> Profile | None:
    """The profile that the environment or a tabsync.toml names; None for none, and for one that can't be used.

    Read before a command is known, hence in silence: the command says what is wrong with the file.
    """
    try:
        name: object = os.environ.get(PROFILE_VARIABLE)
        text = config.read_bytes() if config and not name else b""
        name = tomllib.loads(text.decode()).get("profile") if b"profile" in text else name
        return load_profile(name) if isinstance(name, str) and name else None
    except (OSError, ValueError, TabsyncError):
        return None
