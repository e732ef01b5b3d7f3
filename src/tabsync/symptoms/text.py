"""Reads what somebody pasted: which words, codes, SQLSTATEs and routines are in it, without what would mislead.

A pasted text is anything up to a megabyte: a stack trace, a page of a log, HTML, JSON. Nothing in here may take longer
than a few passes over it, so no pattern repeats what it repeats.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

import psycopg.errors

LONGEST = 1_000_000
"""Characters that are read; of a longer text the beginning and the end, where the error stands."""

_FRAMES = 100_000
"""Characters of stack frames that are looked at."""

_FRAME = re.compile(r'\s*(?:\|\s*)?File "[^"]*", line \d+')
_NOISE = re.compile(
    r"(?:\s{2,8}|\t)\s{0,8}at \S|\s*at \S{1,200} \(.{0,300}:\d+"  # a frame of Java, Node or .NET
    r"|\s*[\^~]+\s*$"
    r"|\s*(?:LINE|ZEILE|LIGNE|L[IÍ]NEA|LINEA|RIGA|RAD|LINHA|СТРОКА|РЯДОК|줄|行|第)\s*\d+\s*(?:行\s*)?[:：]"
    r"|\s*\[(?:SQL|parameters)\b"
    r"|\s*(?:QUERY|ANFRAGE|REQU[ÊE]TE|CONSULTA|QUERY|ЗАПРОС|ЗАПИТ|問い合わせ|查询|쿼리)\s*[:：]"
    r"|\s*(?:→|>)?\s*\d+\s{1,3}\S.*[;{(,)]\s*$",  # a line of source code with its number
    re.IGNORECASE,
)
_STATEMENT = re.compile(
    r"(?<![^\s\]|>])(?:STATEMENT|ANWEISUNG|INSTRUCTION|SENTENCIA|ISTRUZIONE|SATS|COMANDO"
    r"|ОПЕРАТОР|ІНСТРУКЦІЯ|ステートメント|文|语句|명령 구문)"
    r"\s*[:：]\s|Failed process was running:|Command was:"
)
_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})")
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_EMPTY = re.compile(r"\n{2,}")
_TAGS = re.compile(r"</?[a-zA-Z][^<>]{0,300}>")
_VALUE = re.compile(r"=\([^()\n]{0,500}\)")
_STATE = re.compile(r"\b[0-9A-Z]{5}\b")
_SAID = re.compile(
    r"(?:\b(?:code|state|error|fatal|panic|warning|fehler|erreur|errno)|['\"]c['\"])[^\w\n]{0,6}$", re.IGNORECASE
)
_NAMES = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+(?:Error)?\b|\b[a-z]+(?:_[a-z]+){1,6}\b")
_ROUTINE = re.compile(
    r"routine['\"]?\s?[:=]\s?['\"]?(\w{3,60})|['\"]R['\"]: ?['\"](\w{3,60})|LOCATION: {1,2}(\w{3,60}),"
)
WORD = re.compile("[a-z]{3,}")
_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,60}")
_TAG = re.compile(r"(DELETE|UPDATE) [1-9]\d{0,18}|DROP (?:TABLE|SCHEMA|DATABASE|OWNED)|TRUNCATE TABLE")
_ROWS = re.compile(r"^\(\d+ \w+\)$", re.MULTILINE)
_CONNECTING = (
    "connection to server at ",
    "pg-pool/index.js",
    "connect_utils.py",
    "ConnectionFactoryImpl",
    "connection failed: ",
    "error connecting in",
)
_SAME = str.maketrans({"«": '"', "»": '"', "„": '"', "“": '"', "”": '"', "‘": "'", "’": "'", "\ufffd": "?", "`": "'"})


@dataclass(frozen=True, slots=True)
class Pasted:
    """What is in a text.

    words: in lower case, in one line, without stack frames and statements; lines: where in it each line begins; codes:
    words that stand alone; states: SQLSTATEs; routines: PostgreSQL's own; tags: what psql says of a statement that
    ran; connecting: whether it failed while a connection was made; rows: whether it shows rows; known: each of its
    words once; frames: the stack frames that were left out, which tell where it failed.
    """

    words: str
    lines: tuple[int, ...]
    codes: frozenset[str]
    states: frozenset[str]
    routines: frozenset[str]
    tags: frozenset[str]
    connecting: bool
    rows: bool
    known: frozenset[str]
    frames: str


def read(text: str) -> Pasted:
    """Read a text that was pasted. No text is refused."""
    text = _plain(text)
    told, frames = _told(text)
    kept = [_VALUE.sub("=()", line) for line in told]
    words, lines = [], []
    at = 0
    for line in kept:
        flat = normal(line)
        if flat:
            words.append(flat)
            lines.append(at)
            at += len(flat) + 1
    whole = "\n".join(kept)
    tags = {" ".join(found[0].split()[: 1 if found[1] else 2]).lower() for line in kept if (found := _tag(line))}
    return Pasted(
        " ".join(words),
        tuple(lines),
        frozenset(_CODE.findall(whole)),
        frozenset(_states(whole)),
        frozenset(name for found in _ROUTINE.findall(whole) for name in found if name),
        frozenset(tags),
        any(mark in text for mark in _CONNECTING),
        bool(_ROWS.search(whole)),
        frozenset(WORD.findall(" ".join(words))),
        "\n".join(frames)[:_FRAMES],
    )


def normal(text: str) -> str:
    """Words as they are compared: one line, lower case, one kind of quotes. Patterns are written in the same way."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_SAME).lower().split())


def _plain(text: str) -> str:
    """Without the wrapping: HTML, JSON, colours, UTF-8 that was read as Latin-1."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    text = _COLOURS.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    if "</" in text or "&#" in text or "&quot;" in text:
        text = html.unescape(_TAGS.sub("\n", text))
    if any(mark in text for mark in ("\\n", "\\u", '\\"', "\\'")):
        text = _ESCAPES.sub(lambda found: chr(int(found[1], 16)), text)
        text = text.replace("\\r", "").replace("\\n", "\n").replace("\\t", " ").replace('\\"', '"').replace("\\'", "'")
        text = text.encode("utf-8", "replace").decode("utf-8")
    if any(mark in text for mark in ("Ã", "Ð", "â€")):
        text = "\n".join(_repaired(line) for line in text.split("\n"))
    return _EMPTY.sub("\n", text.replace("\r", "\n").replace("\0", ""))


def _repaired(line: str) -> str:
    for encoding in ("cp1252", "latin-1"):
        try:
            return line.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return line


def _told(text: str) -> tuple[list[str], list[str]]:
    """The lines that tell what happened, and stack frames. Statements are in neither: they may quote anything."""
    kept: list[str] = []
    frames: list[str] = []
    below: int | None = None  # lines that are further in than this belong to what was left out
    for line in text.split("\n"):
        start = line[:2000]  # whatever is longer is no frame
        indent = len(start) - len(start.lstrip(" \t|"))
        if below is not None and start.strip() and indent > below:
            continue
        below = None
        if _FRAME.match(start):
            below = indent
            frames.append(start)
        elif found := _STATEMENT.search(start):
            kept.append(line[: found.start()])
            below = indent
        elif _NOISE.match(start):
            frames.append(start)
        else:
            kept.append(line)
    return kept, frames


def _states(text: str) -> set[str]:
    found = {
        one[0]
        for one in _STATE.finditer(text)
        if _known(one[0]) and _SAID.search(text[max(0, one.start() - 24) : one.start()])
    }
    return found | {state for name in set(_NAMES.findall(text)) if (state := state_of(name))}


def state_of(name: str) -> str:
    """The SQLSTATE of a condition, "query_canceled", or of a driver's class, "QueryCanceledError"; "" if it is none."""
    snake = name if "_" in name else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Error"))
    try:
        return psycopg.errors.lookup(snake.upper()).sqlstate or ""
    except KeyError:
        return ""


def _known(state: str) -> bool:
    try:
        psycopg.errors.lookup(state)
    except KeyError:
        return False
    return True


def _tag(line: str) -> re.Match[str] | None:
    return _TAG.fullmatch(line.strip()) if len(line) < 40 else None
