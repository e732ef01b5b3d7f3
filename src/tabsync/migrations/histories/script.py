"""A script of SQL in its statements, each in its tokens, by PostgreSQL's lexical rules.

https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(
    r"""
      (?P<space> \s+ | --[^\n]* )
    | (?P<comment> /\* )
    | (?P<escaped> [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z) )
    | (?P<string> (?:[uU]&|[bBxXnN])?'(?:[^']|'')*(?:'|\Z) )
    | (?P<quoted> (?:[uU]&)?"(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> \$(?P<tag>[^\W\d]\w*)?\$ )
    | (?P<word> [^\W\d][\w$]* )
    | (?P<number> \d[\w.]* )
    | (?P<punct> . )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """kind: word, quoted, string, number or punct; text: of a word in lower case, of what is quoted without quotes."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement. line: where it begins, from 1; text: as it stands, without the semicolon."""

    line: int
    text: str
    tokens: tuple[Token, ...]


def script_at(path: Path) -> str | None:
    """The text of a file of SQL; None when there is none."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def statements(script: str) -> list[Statement]:
    """The statements of a script. A semicolon in parentheses or in BEGIN ATOMIC ... END ends none."""
    found: list[Statement] = []
    tokens: list[Token] = []
    begin, depth, body = 0, 0, 0
    for token, start, end in _tokens(script):
        if not tokens:
            begin = start
        if token.kind == "punct" and token.text == ";" and depth <= 0 and body <= 0:
            if tokens:
                found.append(_statement(script, begin, start, tokens))
            tokens, depth, body = [], 0, 0
            continue
        if token.kind == "punct":
            depth += (token.text == "(") - (token.text == ")")
        elif token.kind == "word":
            body += _opens(token, tokens, body) - (body > 0 and token.text == "end")
        tokens.append(token)
        last = end
    if tokens:
        found.append(_statement(script, begin, last, tokens))
    return found


def _statement(script: str, begin: int, end: int, tokens: list[Token]) -> Statement:
    return Statement(script.count("\n", 0, begin) + 1, script[begin:end].strip(), tuple(tokens))


def _opens(token: Token, before: list[Token], body: int) -> bool:
    """Whether a word begins what END ends, within the body of a function or before it."""
    if body:
        return token.text == "case"
    return token.text == "atomic" and bool(before) and before[-1] == Token("word", "begin")


def _tokens(script: str) -> Iterator[tuple[Token, int, int]]:
    at = 0
    while at < len(script):
        match = _TOKEN.match(script, at)
        assert match is not None  # noqa: S101 - the last branch takes anything
        kind, start = str(match.lastgroup), at
        at = match.end()
        if kind == "tag" or match["dollar"]:
            close = script.find(match["dollar"], at)
            content = script[at : close if close >= 0 else len(script)]
            at = close + len(match["dollar"]) if close >= 0 else len(script)
            yield Token("string", content), start, at
        elif kind == "comment":
            at = _comment_end(script, at)
        elif kind == "word":
            yield Token("word", match.group().lower()), start, at
        elif kind == "quoted":
            yield Token("quoted", match.group().strip('"').replace('""', '"')), start, at
        elif kind in ("string", "escaped"):
            yield Token("string", match.group().partition("'")[2].removesuffix("'").replace("''", "'")), start, at
        elif kind != "space":
            yield Token(kind, match.group()), start, at


def _comment_end(script: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    while depth and at < len(script):
        if script.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif script.startswith("*/", at):
            depth, at = depth - 1, at + 2
        else:
            at += 1
    return at
