"""Declarations: everything that they name is there, fits, and is complete."""

from __future__ import annotations

import inspect

import pytest

from tabsync.kernel.procedure import CLI_ONLY, Procedure, Surface, named
from tabsync.ledger.moved import MOVED
from tabsync.procedures import all_groups, all_procedures, find, is_built

_ROLES = ("plan", "show", "after", "read", "command")
_PARAMETERS = {"plan": 2, "read": 2, "command": 2, "show": 1, "after": 1}


@pytest.mark.parametrize("one", all_procedures(), ids=lambda one: one.words)
def test_what_it_names_is_there(one: Procedure) -> None:
    names = {role: getattr(one, role) for role in _ROLES if getattr(one, role)}
    assert {"plan", "read", "command"} & set(names), "nothing would happen"
    for role, name in names.items():
        assert len(inspect.signature(named(name)).parameters) == _PARAMETERS[role], name


@pytest.mark.parametrize("one", all_procedures(), ids=lambda one: one.words)
def test_it_can_be_asked_for(one: Procedure) -> None:
    assert all(field.asked.help.rstrip(")").endswith((".", "…")) or field.asked.help for field in one.fields)
    required = [field.name for field in one.fields if field.required]
    made = one.request_type(**dict.fromkeys(required, "x"))
    assert one.recorded(made).keys() == set(required)
    if Surface.CLI in one.surfaces:
        assert is_built(one.words.split())
        assert one.command_line(made)[: len(one.words.split())] == one.words.split()


@pytest.mark.parametrize("one", all_procedures(), ids=lambda one: one.words)
def test_its_words_help(one: Procedure) -> None:
    assert one.summary.endswith(".")
    assert one.example
    assert one.needs, "the least role in the database"
    assert one.hidden or one.example.startswith(("tabsync ", "archive_command", "restore_command"))


BY_WORDS = {CLI_ONLY, frozenset({Surface.CLI, Surface.SCHEDULE})}
"""Started as it is typed; what never ends is started so by the schedule too."""


@pytest.mark.parametrize(
    "one", [one for one in all_procedures() if one.surfaces not in BY_WORDS], ids=lambda one: one.words
)
def test_what_starts_elsewhere_is_planned_and_shown(one: Procedure) -> None:
    assert one.plan
    assert one.show


def test_words_are_said_once() -> None:
    words = [one.words for one in all_procedures()]
    assert len(words) == len(set(words))
    assert {one.words for one in all_groups() if find(one.words)} == {"drill"}  # a group that does something itself


@pytest.mark.parametrize("then", sorted(MOVED))
def test_steps_of_earlier_versions_are_found_by_their_names_of_then(then: str) -> None:
    assert callable(named(MOVED[then]))
