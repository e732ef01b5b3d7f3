"""Named SQL: each chapter keeps its statements in a .sql file beside its code.

A block starts with `-- name: what_it_is`, and the comment lines after it say what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def named(package: str, file: str) -> Mapping[str, LiteralString]:
    """The statements of a .sql file, by name. They come with the program, so they count as literal for psycopg."""
    text = (files(package) / file).read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: cast(LiteralString, body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)}
