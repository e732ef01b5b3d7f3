"""An id of a directory: two of one path, in two containers of one name, have two, and so does a copy."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def place_id(directory: Path) -> str:
    """The id of a directory, made when it is first asked for; "" where it can't be written."""
    path = directory / "place"
    if found := _read(path):
        return found
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"place.{secrets.token_hex(4)}")
        with fresh.open("x", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(8)} {os.fstat(file.fileno()).st_ino}")
        if path.exists():
            fresh.replace(path)  # it came here by a copy
        else:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)  # the first of two wins
            fresh.unlink()
    except OSError:
        return ""
    return _read(path)


def _read(path: Path) -> str:
    """What is written there, unless it was written for another file."""
    try:
        token, _, inode = path.read_text(encoding="ascii").partition(" ")
        return token if inode == str(path.stat().st_ino) else ""
    except (OSError, ValueError):
        return ""
