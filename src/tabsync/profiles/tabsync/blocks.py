"""SQL files of named blocks: `-- name: <name>` starts one, and the lines after it say what it is for."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load(file_name: str) -> dict[str, bytes]:
    """The blocks of an SQL file of this package, by name, in the file's order.

    They are bytes because psycopg takes a str as a query only when it is a literal in the program's text.
    """
    text = files(__package__).joinpath(file_name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().encode() for name, body in zip(parts[::2], parts[1::2], strict=True)}
