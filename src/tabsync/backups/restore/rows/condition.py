"""What can't be a condition, seen before minutes go into a copy that it is tried on.

The database itself must not see it, and no parser but PostgreSQL's knows all that PostgreSQL takes. So this reads words
only, and refuses what is wrong by the rules of every version; all else is let through, to be tried:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<string>(?:[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'))
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<operator>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+)
    | (?P<unclosed>['"])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMPARING = {"=", "<", ">", "<=", ">=", "<>", "!="}
"""Operators that stand between two things; any other may stand before one."""

_KINDS = ("string", "quoted", "dollar", "word", "operator", "unclosed", "other")
_NOT_LAST = {"and", "or", "not", "in", "like", "ilike", "where"}
_NOT_FIRST = {"and", "or", "in", "like", "ilike", "where"}


def why_not(condition: str) -> str:
    """Why no PostgreSQL would take a text as a condition; "" when one might."""
    tokens = _tokens(condition)
    if isinstance(tokens, str):
        return tokens
    if not tokens:
        return "it is empty"
    kinds = [token.lower() for token in tokens]
    if ";" in kinds:
        return "it contains a semicolon: give a condition, not a statement"
    for opening, closing in (("(", ")"), ("[", "]")):
        if kinds.count(opening) != kinds.count(closing):
            return f"{kinds.count(opening)} {opening!r} and {kinds.count(closing)} {closing!r}"
    if kinds[0] in _COMPARING | _NOT_FIRST:
        return f"it begins with {tokens[0]}"
    named = len(kinds) > 1 and kinds[-2] == "."  # a column may be called so: t.and; t.* is the whole row
    if not named and (kinds[-1] in _NOT_LAST or _is_operator(kinds[-1])):
        return f"it ends with {tokens[-1]}"
    twice = next((one for one, other in pairwise(kinds) if {one, other} <= _COMPARING), "")
    return f"nothing follows {twice}" if twice else ""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a condition. kind: "word", "string", "quoted", "dollar", "operator" or "other"."""

    kind: str
    text: str


def tokens_of(condition: str) -> list[Token]:
    """The words of a condition of which why_not() says nothing, as they are written."""
    found: list[Token] = []
    position = 0
    while position < len(condition):
        match = _TOKEN.match(condition, position)
        assert match is not None  # noqa: S101 - the last alternative takes any character
        position = match.end()
        if match["comment"]:
            position = _end_of_comment(condition, position) or len(condition)
        elif not match["space"]:
            found.append(Token(next(name for name in _KINDS if match[name] is not None), match[0]))
        elif not match[0].isascii() and match[0].isspace():
            found.append(Token("other", match[0]))  # a space to Python, and a letter to PostgreSQL
    return found


def _is_operator(token: str) -> bool:
    match = _TOKEN.fullmatch(token)
    return match is not None and match.lastgroup == "operator"


def _tokens(text: str) -> list[str] | str:
    """The words of a text, strings and quoted names as one quote each; or what is never closed in it."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None  # noqa: S101 - the last alternative takes any character
        position = match.end()
        if match["comment"]:
            closed = _end_of_comment(text, position)
            if closed is None:
                return "a comment that begins with /* is never closed"
            position = closed
        elif match["unclosed"]:
            return f"a quote {match[0]} is never closed"
        elif match["string"] or match["quoted"] or match["dollar"]:
            tokens.append("'")
        elif not match["space"]:
            tokens.append(match[0])
    return tokens


def _end_of_comment(text: str, position: int) -> int | None:
    depth = 1  # they nest: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS
    for mark in re.compile(r"/\*|\*/").finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return None
