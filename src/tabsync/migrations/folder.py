"""Where the application's migrations are: as somebody says, else as tabsync.toml does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from tabsync.kernel.errors import BadUsage

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

R = TypeVar("R")


def with_folder(workspace: Workspace, request: R) -> R:
    """A request with the folder of tabsync.toml where it names none."""
    asked: Any = request
    if asked.folder is not None or workspace.migrations is None:
        return request
    found: R = replace(asked, folder=workspace.migrations)
    return found


def needed(folder: Path | None) -> Path:
    """The folder. Raises BadUsage where none is known."""
    if folder is None:
        raise BadUsage(
            "it is not known where the migrations are", "--folder DIRECTORY, or [migrations] folder in tabsync.toml"
        )
    return folder


def typed(folder: Path | None) -> str:
    """The option that names a folder, for a command in a hint; "" where tabsync.toml names it."""
    return f" --folder {quote(str(folder))}" if folder is not None else ""
