"""Where the database answered last: a line in the home. It tells a server that is stopped from a port that is wrong."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.clock import iso, local, now
from tabsync.sessions.found import Last

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_NAME = "last-answer.json"


def remember(workspace: Workspace, host: str, port: str, directory: str) -> None:
    """Note that the database answered now. directory: of its data, "" when it isn't on this machine. Never fails."""
    path = workspace.home / _NAME
    text = json.dumps({"host": host, "port": port, "at": iso(now()), "directory": directory})
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{_NAME}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)


def last_answer(workspace: Workspace) -> Last | None:
    """Where it answered last; None when that isn't known."""
    try:
        found = json.loads((Path(workspace.home) / _NAME).read_text(encoding="utf-8"))
        return Last(str(found["host"]), str(found["port"]), local(str(found["at"])), str(found["directory"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
