"""The profile that tabsync.toml names: found among the installed packages by its entry point."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from contextlib import redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.procedure import Group, Procedure
from tabsync.kernel.profile import Profile, ProfileSetting

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "tabsync.profiles"
"""The group of entry points, https://packaging.python.org/en/latest/specifications/entry-points/"""

_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*( [a-z][a-z0-9]*(-[a-z0-9]+)*)*")
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
        with redirect_stdout(sys.stderr):  # what a command prints is read by programs
            found = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever somebody else's package does when it is imported: it may end the process
        raise BadUsage(f"the profile {entry.name!r} can't be loaded: {_why(error)}", f"see {entry.value}") from error
    if not isinstance(found, Profile) or (wrong := wrong_with(found, entry.name)):
        what = wrong if isinstance(found, Profile) else "it must be a tabsync.kernel.profile.Profile"
        raise BadUsage(f"{entry.value} is no profile", what)
    return found


def _why(error: BaseException) -> str:
    """What went wrong, whatever its author has made of it."""
    with suppress(Exception):
        if text := str(error).strip():
            return f"{type(error).__name__}: {text.splitlines()[0]}"
    return type(error).__name__


def wrong_with(profile: Profile, name: str) -> str:
    """What is wrong with what a package has declared, "" when nothing is."""
    lists: tuple[tuple[object, type], ...] = (
        (profile.groups, Group),
        (profile.procedures, Procedure),
        (profile.game_days, str),
        (profile.settings, ProfileSetting),
    )
    if profile.name != name:
        return f"its name is {profile.name!r}, and its entry point's is {name!r}"
    if not isinstance(profile.manual, Path):
        return "its manual is no Path"
    for found, kind in lists:
        if not isinstance(found, tuple) or not all(isinstance(one, kind) for one in found):
            return f"one of its lists is no tuple of {kind.__name__}"
    words = [*(one.words for one in profile.groups), *(one.words for one in profile.procedures)]
    odd = next((one for one in words if not _WORDS.fullmatch(one)), "")
    return f"{odd!r} can't be the words of a command: small letters, one space between" if odd else ""


def profile_in(config: Path | None) -> Profile | None:
    """The profile that the environment or a tabsync.toml names; None for none, and for a file that can't be read.

    That is told by the command, which isn't known yet. Raises BadUsage for a profile that can't be used.
    """
    name: object = os.environ.get(PROFILE_VARIABLE)
    try:
        text = config.read_bytes() if config and not name else b""
        name = tomllib.loads(text.decode()).get("profile") if b"profile" in text else name
    except (OSError, ValueError):
        return None
    if name and not isinstance(name, str):
        raise BadUsage(f"`profile` is {name!r}", 'it must be the name of one: profile = "tabsync"')
    return load_profile(name) if isinstance(name, str) and name else None
