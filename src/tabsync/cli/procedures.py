"""tabsync procedures: what can be started, from where, and what one may ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.page import Page
from tabsync.kernel.procedure import Procedure, Surface
from tabsync.kernel.request import Field

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.request import Nothing
    from tabsync.kernel.step import Facts


def procedures_command(terminal: Terminal, _request: Nothing) -> None:
    """List every procedure."""
    from tabsync.procedures import all_procedures

    shown = [one for one in all_procedures() if not one.hidden]
    page = Page("procedures", {"procedures": [as_json(one) for one in all_procedures()]})
    columns = ("Procedure", "What it does", "Started from")
    page.table(columns, ((one.words, one.summary, surfaces_of(one)) for one in shown), whole=("Procedure",))
    terminal.page(page)


def as_json(one: Procedure) -> Facts:
    """A procedure as JSON: all that a program needs to know to start it."""
    return {
        "words": one.words,
        "summary": one.summary,
        "details": one.details,
        "example": one.example,
        "surfaces": [each.value for each in Surface if each in one.surfaces],
        "records_a_run": one.records_a_run,
        "needs": one.needs,
        "operator": one.operator,
        "fields": [_field(each) for each in one.fields],
    }


def surfaces_of(one: Procedure) -> str:
    """Where it can be started, in words."""
    return ", ".join(each.value for each in Surface if each in one.surfaces)


def _field(one: Field) -> Facts:
    default = one.default if one.default is None or isinstance(one.default, (bool, int, float, str)) else None
    return {
        "name": one.name,
        "kind": one.kind,
        "help": one.asked.help,
        "required": one.required,
        "default": str(one.default) if one.kind == "path" and one.default is not None else default,
        "many": one.many,
        "choices": list(one.choices),
        "secret": one.secret,
    }
