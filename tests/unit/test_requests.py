"""Requests of those who have no shell here: a form, a program."""

from __future__ import annotations

from typing import Any

import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.procedure import Surface
from tabsync.procedures import all_procedures, find
from tabsync.procedures.requests import parse


@pytest.mark.parametrize(
    ("words", "values", "told"),
    [
        ("backup take", {"kind": "full", "file": "/etc/cron.d/x", "form": "custom"}, "file can only be given on the"),
        ("restore new", {"file": "/etc/passwd"}, "file can only be given on the"),
        ("restore to-time", {"time": "latest", "into": "/srv"}, "into can only be given on the"),
        ("drill monthly", {"staging": "host=10.0.0.1"}, "staging can only be given on the"),
        ("backup copy", {"to": "/etc"}, "no store '/etc'"),
        ("wal copy", {"to": "s3://somebody/else"}, "no store 's3://somebody/else'"),
        ("connections terminate", {"pids": ["7", "99999999999"]}, "pids is not valid: it is"),
        ("queries cancel", {"pid": "99999999999"}, "pid is not valid: it is 99999999999, not at most 2147483647"),
        ("backup hold", {"bakup": "x"}, "no field 'bakup'"),
        ("backup hold", {}, "backup is missing"),
        ("backup take", {"kind": "everything"}, "kind is not valid"),
        ("backup hold", {"backup": "latest", "reason": "half \ud800"}, "reason is not valid: it is not text"),
        ("restore to-time", {"xid": "seven"}, "xid is not valid"),
        ("restore to-time", {"time": "latest", "timeline": "0"}, "timeline is not valid: it is 0, not at least 1"),
    ],
)
def test_what_may_not_be_asked_for_from_outside(words: str, values: dict[str, Any], told: str) -> None:
    procedure = find(words)
    assert procedure
    with pytest.raises(BadUsage) as refused:
        parse(procedure, values, ["far"])
    assert told in refused.value.fact


def test_what_may() -> None:
    copy = find("backup copy")
    assert copy
    assert parse(copy, {"to": "FAR", "backup": ""}, ["far"]) == copy.request_type(to="FAR")
    assert parse(copy, {"to": "/srv/copies"}).to == "/srv/copies"  # the manual's: who writes it has a shell


def test_an_empty_field_of_a_form_is_not_given() -> None:
    take = find("backup take")
    assert take
    assert parse(take, {"kind": "full", "tables": [""], "reason": ""}) == take.request_type(kind="full")
    assert parse(take, {"kind": "tables", "tables": ["", "orders"]}).tables == ("orders",)


@pytest.mark.parametrize("words", [one.words for one in all_procedures() if Surface.API in one.surfaces])
def test_each_field_that_names_a_place_is_marked(words: str) -> None:
    """A new one is read by its help: whatever names a directory, a URL or a connection is the host's, or a store."""
    procedure = find(words)
    assert procedure
    for one in procedure.fields:
        places = any(
            word in one.asked.help.lower() for word in ("directory", "url", "connection string", "server inst")
        )
        assert not places or one.of or one.kind == "choice", one.name
