"""SQL that is run in one transaction of ours: it may not end that transaction, nor send or take data beside it."""

from __future__ import annotations

import sqlglot
from sqlglot import TokenType
from sqlglot.errors import SqlglotError

_CONTROL = frozenset({"BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK"})
"""First words of statements that begin or end one: https://www.postgresql.org/docs/current/sql-commands.html"""

_ENOUGH = 2_000  # words of a statement that are looked at


def in_one_transaction(sql: str) -> list[str]:
    """What keeps some SQL from being one transaction; [] when nothing does, or it can't be read.

    Savepoints may be used, and rolled back to.
    """
    try:
        tokens = sqlglot.tokenize(sql, read="postgres")
    except SqlglotError:
        return []
    told: list[str] = []
    words: list[str] = []
    for one in [*tokens, None]:
        inside = "ATOMIC" in words and "END" not in words  # the body of a function has semicolons of its own
        if one is not None and (inside or one.token_type is not TokenType.SEMICOLON):
            words += one.text.upper().split() if len(words) < _ENOUGH else []
            continue
        told += _wrong(words)
        words = []
    return told


def _wrong(words: list[str]) -> list[str]:
    first = words[0] if words else ""
    if first in _CONTROL and not (first == "ROLLBACK" and "TO" in words):
        return [f"{first} may not stand in it: it is run in one transaction"]
    if words[:2] == ["PREPARE", "TRANSACTION"]:
        return ["PREPARE TRANSACTION may not stand in it: it is run in one transaction"]
    if first == "COPY" and {"STDIN", "STDOUT"} & {*words}:
        return ["COPY from STDIN or to STDOUT may not stand in it: nobody sends or takes the rows"]
    return []
