"""tabsync init: the plan that writes tabsync.toml and manual.md; a file that is there already is kept beside it."""

from __future__ import annotations

import os
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.init.inspect import config_text, look, manual_text
from tabsync.kernel.clock import compact, now
from tabsync.kernel.errors import Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.postgres.connect import connect
from tabsync.postgres.conninfo import place

if TYPE_CHECKING:
    from tabsync.workspace import Context

FILES = ("tabsync.toml", "manual.md")


def plan_init(conninfo: str, directory: Path) -> Plan:
    """Look at a database and plan the two files. Raises CannotConnect, Refused when the directory isn't there."""
    if not directory.is_dir():
        raise Refused(f"{directory} is not a directory", f"mkdir -p {directory}")
    with connect(conninfo, "init") as connection:
        found = look(connection)
    texts = dict(zip(FILES, (config_text(conninfo), manual_text(found)), strict=True))
    return Plan(
        procedure="init",
        title=f"Write tabsync.toml and manual.md for {place(conninfo)} ({found.provider})",
        target=found.identity,
        confirm=found.identity["database"],
        steps=tuple(_step(directory / name, text) for name, text in texts.items()),
    )


def write(_context: Context, *, path: str, text: str) -> Facts:
    """Write one file; an older one of that name is kept beside it under the time of now."""
    target, kept = Path(path), ""
    try:
        if target.exists() and target.read_text(encoding="utf-8", errors="replace") != text:
            kept = _free_name(f"{path}.{compact(now())}")
            target.rename(kept)
        pending = target.with_name(f".{target.name}.writing")
        pending.write_text(text, encoding="utf-8")
        pending.replace(target)
    except OSError as error:
        raise Refused(f"can't write {path}: {error.strerror}", "choose another place with --directory") from None
    return {"path": path, "kept": kept}


def _free_name(name: str) -> str:
    numbered = (f"{name}-{number}" for number in count(2))  # rename() would replace what was kept a moment ago
    return next(one for one in chain([name], numbered) if not os.path.lexists(one))


def _step(path: Path, text: str) -> Step:
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    replaces = before is not None and before != text
    return Step(
        f"write_{path.stem}",
        f"{'Replace' if replaces else 'Write'} {path.name}",
        call(write, path=str(path), text=text),
        preview=f"{path} ({len(text.splitlines())} lines)" + (", the old file is kept next to it" if replaces else ""),
        risk=Risk.DESTRUCTIVE if replaces else Risk.REVERSIBLE,
        undo="rename the old file back" if replaces else f"rm {path}",
    )
