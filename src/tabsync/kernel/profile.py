"""A profile: what is known of one application, declared, so that a tabsync.toml can name it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tabsync.kernel.procedure import Group, Procedure


@dataclass(frozen=True, slots=True)
class ProfileSetting:
    """One setting of a profile, in the table of tabsync.toml that is called as it is. Its value is a text."""

    name: str
    help: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a package brings for one application: its commands, its manual, its game days, its settings.

    manual: the one that is carried out where tabsync.toml names none, with its schedule; game_days: those that it
    brings, each as "package.module:name" of a kernel.gameday.GameDay, which is imported when one is played.
    The package exports it by an entry point of the group "tabsync.profiles", named as the profile.
    """

    name: str
    summary: str
    manual: Path
    groups: tuple[Group, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    game_days: tuple[str, ...] = ()
    settings: tuple[ProfileSetting, ...] = field(default=())
