"""Reads a manual from a file."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.manual.sections import Problem


def read(path: Path) -> tuple[Manual, list[Problem]]:
    """Read a manual and everything that is wrong with it. Raises BadUsage when there is no such file of text."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise BadUsage(f"{path} is not a file", "name the manual's file, or run: tabsync init")
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadUsage(
            f"can't read {path}: {error.strerror}", "name the manual's file, or run: tabsync init"
        ) from error
    except UnicodeDecodeError as error:
        raise BadUsage(f"{path} is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error
    manual, problems = _parsed(text)
    # The digest is of the bytes, so that sha256sum of the file gives the same.
    return manual.model_copy(update={"digest": hashlib.sha256(raw).hexdigest()}), list(problems)


@lru_cache(maxsize=2)
def _parsed(text: str) -> tuple[Manual, list[Problem]]:
    """One command looks into the manual several times, and that takes a tenth of a second each time."""
    return parse(text)


def load(path: Path) -> Manual:
    """Read a manual that is to be executed. Raises ProblemFound when anything in it can't be understood."""
    manual, problems = read(path)
    if problems:
        first = problems[0].described(path.name)
        told = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ProblemFound(f"the manual has {told}: {first}", "see them all: tabsync manual check")
    return manual
