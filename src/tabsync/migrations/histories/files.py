"""The files of a project, without what is not its own: packages that it uses, and directories that begin with a dot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_OF_OTHERS = frozenset({"node_modules", "site-packages", "__pycache__", "vendor"})


def below(folder: Path, ending: str) -> Iterator[Path]:
    """The files below a folder whose names end so, in the order of their names."""
    for directory, inner, names in os.walk(folder):
        inner[:] = sorted(one for one in inner if one not in _OF_OTHERS and not one.startswith("."))
        yield from (Path(directory, name) for name in sorted(names) if name.endswith(ending))
