"""The words of a SQL text, read by PostgreSQL's lexical rules where every reader agrees, refused where they may not.

A check is only worth something when it sees the statement as the server will. The exotic forms (dollar quoting,
escape and Unicode strings, nested comments, control characters) are where two lexers part ways and where code can hide
in what one of them takes for a comment, so a reading statement may not use them:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_LEXEME = re.compile(
    r"""
      (?P<space>[ \t\n]+ | --[^\x00-\x08\x0b-\x1f\n]*)
    | (?P<comment>/\*.*?\*/)
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<symbol>[-+*/<>=~!@\#%^&|?`()\[\],.;:])
    """,
    re.VERBOSE | re.DOTALL,
)
_PREFIXED = re.compile(r"\b([ebxn]'|u&['\"])", re.IGNORECASE)
_ESCAPED = re.compile(r"e'(?:[^'\\]|''|\\.)*'|[bx]'[^']*'|u&'(?:[^']|'')*'", re.IGNORECASE | re.DOTALL)
"""Strings with escapes and bit strings, as far as they are one token; only where a token begins."""

_GOES_ON = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:'|uescape\b)", re.IGNORECASE | re.DOTALL)
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts longer names silently, and so finds another object than we looked up


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    QUOTED = "quoted"
    STRING = "string"
    NUMBER = "number"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True)
class Token:
    """A token. text: as PostgreSQL reads it, so a word in lower case and a quoted name without its quotes."""

    kind: Kind
    text: str

    @property
    def is_name(self) -> bool:
        """Whether it can name something."""
        return self.kind in (Kind.WORD, Kind.QUOTED)


def scan(sql: str) -> list[Token]:
    """The tokens of a SQL text without comments. Raises ValueError for a form that a reading statement may not use."""
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        match = _LEXEME.match(sql, position)
        if match is None:
            raise ValueError(f"{sql[position : position + 10]!r} is not allowed in a read-only statement")
        position = match.end()
        if match.lastgroup == "comment" and "/*" in match[0][2:]:
            raise ValueError("a comment inside a comment is not allowed in a read-only statement")
        if _PREFIXED.match(sql, match.start()):
            raise ValueError(f"{match[0]}'...' strings are not allowed in a read-only statement")
        if match.lastgroup not in ("space", "comment"):
            tokens.append(_token(Kind(match.lastgroup or ""), match[0]))
    return tokens


def _token(kind: Kind, text: str) -> Token:
    if kind is Kind.WORD:
        text = text.lower()
    elif kind is Kind.QUOTED:
        text = text[1:-1].replace('""', '"')
    if kind in (Kind.WORD, Kind.QUOTED) and len(text.encode()) > _LONGEST_NAME:
        raise ValueError(f"the name {text[:20]}... is longer than PostgreSQL allows ({_LONGEST_NAME} bytes)")
    return Token(kind, text)


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a statement, each by what it could be; a name may be in several sets.

    words: everything that can name something; called: before a parenthesis; attributes: after a dot, where
    PostgreSQL takes `row.f` for `f(row)`; types: where a type can stand.
    """

    words: frozenset[str]
    called: frozenset[str]
    attributes: frozenset[str]
    types: frozenset[str]


def names_in(tokens: list[Token]) -> Names:
    """Sort the names of a statement by what they could be, rather too many than too few."""
    called, attributes, types = set(), set(), set()
    casts = any(token == Token(Kind.WORD, "cast") for token in tokens)
    end = Token(Kind.SYMBOL, ";")
    head = end  # what stands before the qualified name that we are in
    for number, token in enumerate(tokens):
        before = tokens[number - 1] if number else end
        after = tokens[number + 1] if number + 1 < len(tokens) else end
        qualified = before == _DOT
        if not token.is_name:
            continue
        head = head if qualified else before
        if after == _OPEN:
            called.add(token.text)
        if qualified:
            attributes.add(token.text)
        # A type stands after `::` or `cast(... as`, or before a literal.
        if head == _COLON or after.kind is Kind.STRING or (casts and head == _AS):
            types.add(token.text)
    words = frozenset(token.text for token in tokens if token.is_name)
    return Names(words, frozenset(called), frozenset(attributes), frozenset(types | called))


_DOT, _OPEN, _COLON = (Token(Kind.SYMBOL, text) for text in (".", "(", ":"))
_AS = Token(Kind.WORD, "as")


def bare(sql: str) -> str:
    """A SQL text without what may follow its statement: semicolons, spaces, comments. Raises ValueError as scan()."""
    scan(sql)
    position = end = 0
    while position < len(sql):
        match = _LEXEME.match(sql, position)
        position = match.end() if match else len(sql)
        if match and match.lastgroup not in ("space", "comment") and match[0] != ";":
            end = position
    return sql[:end]


_PARAMETER = re.compile(r"\$(\d{1,5})(?![A-Za-z0-9_$\x80-\U0010ffff])")


def without_parameters(sql: str) -> str:
    """A SQL text as it can be scanned and judged. Raises ValueError as scan().

    Its parameters ($1) are null, its strings with escapes are empty, since none of these calls anything, and the table
    of `insert into t (a)` has an alias, or it would look like a call.
    """
    found, place = [], 0  # how far we are in: insert into name . name (
    for part, number in _parts(sql):
        blank = part.isspace() or part.startswith(("--", "/*"))
        if not blank:
            follows = _INSERT.get((place, _sort_of(part)), 0)
            if place in (3, 5) and part == "(":
                found.append(f" as {TARGET} ")
            place = follows
        found.append("null" if number else part)
    return "".join(found)


TARGET = "tabsync_target"
"""The alias."""

_INSERT = {(0, "insert"): 1, (1, "into"): 2, (2, "name"): 3, (3, "."): 4, (4, "name"): 5}


def _sort_of(part: str) -> str:
    word = part.lower()
    return word if word in ("insert", "into", ".") else "name" if re.match(r"[A-Za-z_\"]", part) else ""


def parameters(sql: str) -> int:
    """How many parameters a SQL text has: the highest number. Raises ValueError as scan()."""
    return max((number for _, number in _parts(sql)), default=0)


def _parts(sql: str) -> Iterator[tuple[str, int]]:
    """The lexemes of a text, each with the number of the parameter that it is, 0 when it is none.

    A string with escapes comes as an empty one: E'...' (libpq and drivers send it for each value with a backslash),
    U&'...', B'...', X'...'. How they end: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
    """
    position, after_word = 0, False
    while position < len(sql):
        if escaped := _ESCAPED.match(sql, position):
            position, after_word = escaped.end(), False
            if _GOES_ON.match(sql, position):
                raise ValueError(f"a string that goes on after {escaped[0][:10]} can't be read with certainty")
            yield "''", 0
            continue
        match = _LEXEME.match(sql, position)
        parameter = None if match or after_word else _PARAMETER.match(sql, position)
        found = match or parameter
        if found is None:
            raise ValueError(f"{sql[position : position + 10]!r} is not allowed in a read-only statement")
        position = found.end()
        after_word = match is not None and match.lastgroup in ("word", "quoted", "number")
        yield found[0], int(parameter[1]) if parameter else 0
