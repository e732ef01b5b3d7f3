"""Where the settings stand in tabsync.toml."""

from __future__ import annotations


def lines_of(text: str, whole: str) -> dict[str, int]:
    """In which line each key stands, for a person. whole: a table whose tables are values."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if words.startswith("["):
            table = words.strip("[] ").replace('"', "")
        elif "=" in words and not words.startswith("#"):
            key = words.partition("=")[0].strip().strip('"')
            found.setdefault(table if table.startswith(f"{whole}.") else f"{table}.{key}" if table else key, number)
    return found
