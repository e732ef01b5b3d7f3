"""What a step leaves open, such as <pid>: asked for, with what is likely."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psycopg import sql as composed

from tabsync.kernel.errors import BadUsage
from tabsync.manual.left_open import OPEN, spots
from tabsync.manual.model import Step, StepKind

if TYPE_CHECKING:
    from tabsync.kernel.step import Facts

_MOST = 5  # candidates that are offered


def open_in(step: Step) -> tuple[str, ...]:
    """The names of what a step leaves open, in its order."""
    if step.kind in (StepKind.SQL, StepKind.SQL_WRITE):
        return open_in_sql(step.block)
    return tuple(dict.fromkeys(name for one in step.commands for word in one.words for name in OPEN.findall(word)))


def open_in_sql(sql: str) -> tuple[str, ...]:
    """The names of what some SQL leaves open, in its order."""
    with suppress(ValueError):  # sql_with() says so
        return tuple(dict.fromkeys(name for _, _, name in spots(sql)))
    return tuple(dict.fromkeys(OPEN.findall(sql)))


def filled(step: Step, values: Mapping[str, str]) -> Step:
    """The step with values for what it leaves open: words of a command, and literals in SQL, whatever is in them.

    Raises BadUsage where a value would become an option of the command, or the SQL leaves open what no value can fill.
    """
    if not values:
        return step
    if step.kind in (StepKind.SQL, StepKind.SQL_WRITE):
        try:
            return step.model_copy(update={"block": sql_with(step.block, values)})
        except ValueError as error:
            raise BadUsage(f"step {step.number}: {error}", "mend the manual: tabsync manual check") from None
    commands = tuple(
        one.model_copy(update={"words": tuple(_word_with(word, values) for word in one.words)}) for one in step.commands
    )
    return step.model_copy(update={"commands": commands})


def _word_with(word: str, values: Mapping[str, str]) -> str:
    whole = OPEN.sub(lambda found: values.get(found[1], found[0]), word)
    if whole.startswith("-") and not word.startswith("-"):  # it would be read as an option
        raise BadUsage(f"the value {whole!r} begins with a dash", "type this command by hand, with -- before the value")
    return whole


def sql_with(sql: str, values: Mapping[str, str]) -> str:
    """Some SQL with literals for what it leaves open. Raises ValueError where no value can stand."""
    parts, end = [], 0
    for start, stop, name in spots(sql):
        if name in values:
            parts += [sql[end:start], composed.Literal(values[name]).as_string(None)]
            end = stop
    return "".join([*parts, sql[end:]])


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
