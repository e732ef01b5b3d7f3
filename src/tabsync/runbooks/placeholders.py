"""What a step leaves open, such as <pid>: asked for, with what is likely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psycopg import sql

from tabsync.manual.model import Step, StepKind

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts

_OPEN = re.compile(r"<([^<>\s]+)>")
_IN_SQL = re.compile(r"'<([^<>\s]+)>'|<([^<>\s]+)>")
_MOST = 5  # candidates that are offered


def open_in(step: Step) -> tuple[str, ...]:
    """The names of what a step leaves open, in its order."""
    texts = [word for one in step.commands for word in one.words]
    if step.kind in (StepKind.SQL, StepKind.SQL_WRITE):
        texts = [step.block]
    return tuple(dict.fromkeys(name for text in texts for name in _OPEN.findall(text)))


def filled(step: Step, values: Mapping[str, str]) -> Step:
    """The step with values for what it leaves open: words of a command, and literals in SQL, whatever is in them."""
    if not values:
        return step
    if step.kind in (StepKind.SQL, StepKind.SQL_WRITE):
        return step.model_copy(update={"block": _IN_SQL.sub(lambda found: _literal(found, values), step.block)})

    def whole(word: str) -> str:
        return _OPEN.sub(lambda found: values.get(found[1], found[0]), word)

    commands = tuple(one.model_copy(update={"words": tuple(map(whole, one.words))}) for one in step.commands)
    return step.model_copy(update={"commands": commands})


def candidates(name: str, before: Sequence[Facts]) -> list[str]:
    """What is likely meant by a name: what the steps before have shown under it, the newest first.

    before: the data of their pages.
    """
    found = (str(value) for data in reversed(before) for value in _under(name, data))
    return list(dict.fromkeys(found))[:_MOST]


def _under(name: str, data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == name and isinstance(value, str | int) and not isinstance(value, bool):
                yield value
            else:
                yield from _under(name, value)
    elif isinstance(data, list):
        for one in data:
            yield from _under(name, one)


def _literal(found: re.Match[str], values: Mapping[str, str]) -> str:
    name = found[1] or found[2]
    return sql.Literal(values[name]).as_string(None) if name in values else found[0]
