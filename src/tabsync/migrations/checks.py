"""Which command of a tool finds drift, what it compares, and what its exit code means. Nothing is run here.

https://docs.prisma.io/docs/cli/migrate/diff, https://alembic.sqlalchemy.org/en/latest/autogenerate.html,
https://docs.djangoproject.com/en/stable/ref/django-admin/#makemigrations
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SCHEMAS = ("prisma/schema.prisma", "schema.prisma", "prisma/schema", "../schema.prisma")


@dataclass(frozen=True, slots=True)
class Check:
    """A command. compares: in words; drift: by its exit code and what it printed, None when it found out nothing."""

    argv: tuple[str, ...]
    folder: Path
    compares: str
    drift: Callable[[int, str], bool | None]


def check_of(tool: str, project: Path) -> Check | str:
    """The check of a tool for a project, or why there is none. project: a folder in it."""
    make = _CHECKS.get(tool)
    return make(project) if make else "it has no command for it that could be run here"


def _prisma(project: Path) -> Check | str:
    root = next((one for one in _upwards(project) if (one / "node_modules/.bin/prisma").exists()), None)
    if root is None:
        return f"no node_modules/.bin/prisma in {project} or above it"
    schema = next((path for one in _upwards(project) for name in _SCHEMAS if (path := one / name).exists()), None)
    if schema is None:
        return f"no schema.prisma in {project} or above it"
    file = str(schema.resolve())
    old = "--from-schema-datasource", file, "--to-schema-datamodel", file
    new = "--from-config-datasource", "--to-schema", file
    program = str(root / "node_modules/.bin/prisma")
    argv = (program, "migrate", "diff", *(old if _major(root) < 7 else new), "--exit-code")
    folder = next((one for one in _upwards(schema.parent) if (one / "package.json").exists()), root)
    return Check(argv, folder, "the database and schema.prisma", _of_prisma)


def _of_prisma(code: int, _printed: str) -> bool | None:
    return {0: False, 2: True}.get(code)


def _major(root: Path) -> int:
    try:
        return int(json.loads((root / "node_modules/prisma/package.json").read_text())["version"].partition(".")[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 7


def _django(project: Path) -> Check | str:
    root = next((one for one in _upwards(project) if (one / "manage.py").is_file()), None)
    if root is None:
        return f"no manage.py in {project} or above it"
    program = _program(root, "python") or _program(root, "python3")
    if program is None:
        return f"no python in {root}/.venv, and none on PATH"
    argv = (program, "manage.py", "makemigrations", "--check", "--dry-run")
    return Check(argv, root, "the models and the files of the migrations, not the database", _of_django)


def _of_django(code: int, printed: str) -> bool | None:
    if code == 0:
        return False
    return True if code == 1 and re.search(r"^Migrations for '", printed, re.MULTILINE) else None


def _alembic(project: Path) -> Check | str:
    root = next((one for one in _upwards(project) if (one / "alembic.ini").is_file()), None)
    if root is None:
        return f"no alembic.ini in {project} or above it"
    program = _program(root, "alembic")
    if program is None:
        return f"no alembic in {root}/.venv, and none on PATH"
    return Check((program, "check"), root, "the database and the models", _of_alembic)


def _of_alembic(code: int, printed: str) -> bool | None:
    if code == 0:
        return False
    return True if "New upgrade operations detected" in printed else None


_CHECKS: dict[str, Callable[[Path], Check | str]] = {"Prisma": _prisma, "Alembic": _alembic, "Django": _django}


def _program(root: Path, name: str) -> str | None:
    """A program of the project's own environment, else the one that a shell would find."""
    own = (one / place / "bin" / name for one in _upwards(root) for place in (".venv", "venv", "env"))
    return next((str(path) for path in own if path.is_file()), None) or shutil.which(name)


def _upwards(folder: Path) -> Iterator[Path]:
    """A folder and those above it, as long as nobody else can put a program there."""
    for one in (folder, *folder.parents):
        there = one.stat()
        if there.st_uid not in (0, os.geteuid()) or there.st_mode & stat.S_IWOTH:
            return
        yield one
