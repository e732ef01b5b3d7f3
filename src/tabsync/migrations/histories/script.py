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
      (?P<psql> (?m:^)\\[^\n]* )
    | (?P<space> \s+ | --[^\n]* )
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
    """kind: word, quoted, string, escaped, number, punct or psql; text: of a word in lower case, without its quotes.

    escaped: a literal or a name with escapes, whose text is as written.
    """

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
    begin, last, depth, body = 0, 0, 0, 0
    for token, start, end in _tokens(script):
        if token.kind == "psql":
            if tokens:
                found.append(_statement(script, begin, last, tokens))
            word = (token.text.split() or [""])[0]
            found.append(_statement(script, start, end, [Token("psql", word)]))
            tokens, depth, body = [], 0, 0
            continue
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
    at, words = 0, list[str]()
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
        elif kind == "psql":
            yield Token("psql", match.group()[1:]), start, at
        elif kind == "word":
            words.append(_folded(match.group()))
            yield Token("word", words[-1]), start, at
        elif kind == "quoted":
            yield _quoted(match.group()), start, at
        elif kind in ("string", "escaped"):
            yield _literal(match.group()), start, at
        elif kind != "space":
            yield Token(kind, match.group()), start, at
            if match.group() == ";":
                at = _data_end(script, at) if words[:1] == ["copy"] and "stdin" in words else at
                words = []


def _folded(word: str) -> str:
    """PostgreSQL makes only the letters of ASCII small in a database of UTF-8."""
    return "".join(one.lower() if one.isascii() else one for one in word)


def _quoted(text: str) -> Token:
    if not text.startswith('"'):
        return Token("escaped", text)
    return Token("quoted", text[1:].removesuffix('"').replace('""', '"'))


def _literal(text: str) -> Token:
    mark, _, content = text.partition("'")
    plain = content.removesuffix("'").replace("''", "'")
    escaped = mark.lower() == "u&" or (mark.lower() == "e" and "\\" in plain)
    return Token("escaped" if escaped else "string", plain)


def _data_end(script: str, at: int) -> int:
    """Behind the rows of COPY FROM STDIN, which end with a line of their own."""
    end = re.compile(r"(?m)^\\\.[ \t\r]*$").search(script, at)
    return end.end() if end else len(script)


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
