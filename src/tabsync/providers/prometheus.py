"""Prometheus' text format, as far as a few named series of it go.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format

Lines of other series are not looked at: who asks for the disk needn't fail for a label of the web server. Those that
are asked for are read whole or refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tabsync.kernel.errors import CannotConnect

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[Nn]a[Nn]|[Ii]nf)")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True, slots=True)
class Point:
    """One sample. value: may be NaN or infinite; at: its own time, in ms since 1970, where it has one."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: int | None = None


def read_points(body: bytes, names: Collection[str]) -> list[Point]:
    """The samples of some series. Raises CannotConnect for what isn't this format, or was cut."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _wrong("it is not UTF-8") from None
    if text and not text.endswith("\n"):
        raise _wrong("its last line is not whole")
    return list(_points(text, names))


def _points(text: str, names: Collection[str]) -> Iterator[Point]:
    # Not splitlines(): only a line feed ends a line, and a label may hold any other character.
    for number, line in enumerate(text.split("\n"), start=1):
        found = line.strip(" \t\r")
        if not found or found.startswith("#"):
            continue
        name = _NAME.match(found)
        if name is None:
            raise _wrong(f"line {number} begins with no name")
        if name[0] in names:
            yield _point(found, name[0], number)


def _point(line: str, name: str, number: int) -> Point:
    rest = line[len(name) :].lstrip(" \t")
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        rest = _labels(rest[1:], labels, number)
    said = rest.split()
    if not 1 <= len(said) <= 2 or not _NUMBER.fullmatch(said[0]):
        raise _wrong(f"line {number} has no value")
    if len(said) == 2 and not re.fullmatch(r"-?\d{1,18}", said[1]):
        raise _wrong(f"line {number} has no time that could be read")
    return Point(name, labels, float(said[0]), int(said[1]) if len(said) == 2 else None)


def _labels(text: str, labels: dict[str, str], number: int) -> str:
    """Read the labels up to the closing bracket into a dict; gives what comes after it."""
    place = 0
    while True:
        if closing := re.compile(r"\s*\}").match(text, place):
            return text[closing.end() :]
        found = _LABEL.match(text, place)
        if found is None:
            raise _wrong(f"line {number} has labels that can't be read")
        value = re.sub(r'\\[\\"n]', lambda one: _ESCAPES[one[0]], found[2])
        if labels.setdefault(found[1], value) != value:
            raise _wrong(f"line {number} says two things of {found[1]}")
        place = found.end()
        if text[place : place + 1] == ",":
            place += 1
        elif text[place : place + 1] != "}":
            raise _wrong(f"line {number} has labels that can't be read")


def _wrong(why: str) -> CannotConnect:
    return CannotConnect(f"the answer is not in Prometheus' text format: {why}", "look for a newer tabsync")
