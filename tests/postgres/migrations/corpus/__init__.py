"""Migrations as applications write them, with everything that was there before (base.sql)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).parent
BASE = (_HERE / "base.sql").read_text()


def _all() -> Iterator[tuple[str, str]]:
    for path in sorted(_HERE.glob("*.sql")):
        parts = re.split(r"(?m)^-- migration: (\w+)\n", path.read_text())
        yield from zip(parts[1::2], parts[2::2], strict=True)


MIGRATIONS = dict(_all())
