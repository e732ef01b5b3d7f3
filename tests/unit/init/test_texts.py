"""What init writes: wiring that is valid and free of secrets, a manual that reads without a problem."""

from __future__ import annotations

import os
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.init.inspect import Findings, config_text, manual_text
from tabsync.manual.parse import parse
from tabsync.postgres.catalog import Relation, relation_named
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.workspace import PLAIN_MANUAL

NASTY = st.text(
    st.sampled_from(list("ab|`*_[]()<>#~-+\\\"'.!&;:=% \t\n\r\v\f\u0085\u2028é\U0001f37d1"))
    | st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=12,
)


@given(st.dictionaries(st.sampled_from(["host", "dbname", "user", "service", "application_name"]), NASTY), NASTY)
@example({"dbname": "a\rb"}, "x")
@example({"dbname": "\x7f\x01"}, "x")
@example({"dbname": 'quo"te\\'}, "x")
def test_the_wiring_is_valid_and_free_of_the_password(parts: dict[str, str], tail: str) -> None:
    password = f"hunter{tail}"
    text = config_text(make_conninfo("", password=password, **parts))
    values = tomllib.loads(text)
    assert conninfo_to_dict(values["database"]) == parts
    assert "hunter" not in text
    assert set(values) == {"database", "manual", "store", "home", "jobs"}


def findings(**values: Any) -> Findings:
    found: dict[str, Any] = {
        "identity": {"database": "shop", "version": "17.2"},
        "provider": "self-hosted",
        "key_tables": (),
        "enums": (),
        "roles": (),
        "bytes": 123_456_789,
    }
    return Findings(**(found | values))


def read(found: Findings) -> Any:
    manual, problems = parse(manual_text(found))
    assert [problem.described("manual.md") for problem in problems] == []
    return manual


@given(st.lists(st.builds(Relation, NASTY, NASTY), min_size=1, max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
@example([Relation("public", "a`b"), Relation("``", "`")])
@example([Relation("public", "line\nbreak")])
@example([Relation("Sales 2025", "Order.Items")])
def test_tables_of_any_name_are_found_again(tables: list[Relation]) -> None:
    manual = read(findings(key_tables=tuple(tables)))
    named = [relation_named(table.name) for table in manual.key_tables]
    # A name that Markdown can't hold is left to the person, and said; none may come out as another table.
    assert set(named) <= set(tables) | {Relation("pg_catalog", "pg_class")}
    expressible = [table for table in tables if " ".join(str(table).split()) == str(table) and str(table).isprintable()]
    assert set(expressible) <= set(named)


@given(NASTY, st.lists(NASTY, min_size=1, max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
@example("Status|Type", ["a|b", "`c", "*d*", "[e](f)", "\\", "<!--", "<b>"])
def test_enums_of_any_name_and_label_are_read(name: str, labels: list[str]) -> None:
    manual = read(findings(enums=({"schema": "public", "name": name, "labels": labels},)))
    # The cell keeps what is printable; Markdown trims the blanks around it.
    expected = ["".join(sign if sign.isprintable() else " " for sign in label).strip() for label in labels]
    assert [one.label for one in manual.enum_labels] == expected


@given(st.lists(NASTY, min_size=1, max_size=3, unique=True))
@settings(max_examples=50, deadline=None)
@example(["# Targets", "## Thresholds", "- `x`", "```", "<!--", "~~~", "1. x", "***", "===", "---"])
def test_roles_of_any_name_do_no_harm(roles: list[str]) -> None:
    read(findings(roles=tuple(roles)))


@given(NASTY)
@settings(max_examples=50, deadline=None)
@example("## Targets")
@example("a\n\n## Thresholds\n\nb")
@example("<!--")
def test_a_database_of_any_name_does_no_harm(name: str) -> None:
    manual = read(findings(identity={"database": name, "version": "17.2 (Debian | `x`)"}, provider="Supabase"))
    assert manual.targets is not None


@pytest.mark.parametrize("provider", ["self-hosted", "Supabase"])
def test_the_manual_of_an_empty_database_has_no_problem(provider: str) -> None:
    manual = read(findings(provider=provider))
    assert [table.name for table in manual.key_tables] == ["pg_catalog.pg_class"]
    assert provider in manual_text(findings(provider=provider)).split("### Retention")[0]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Etc/GMT+5", "UTC", ""])
def test_the_schedule_has_the_zone_of_the_machine_in_each_heading_with_a_time(zone: str) -> None:
    manual = read(findings(zone=zone))
    timed = [one for one in manual.schedule if one.when.kind == "clock"]
    assert len(timed) > 5
    assert {one.when.zone for one in timed} == {zone}
    assert {one.terms.owner for one in manual.schedule} - {""} == {manual.contacts[0].role}


@pytest.mark.parametrize("provider", ["self-hosted", "Supabase"])
def test_a_new_manual_keeps_what_the_first_nights_need(provider: str) -> None:
    manual = read(findings(provider=provider))
    due = {(one.frequency, one.command.text if one.command else one.text) for one in manual.schedule}
    assert {
        ("daily", "backup take full"),
        ("daily", "drill --backup latest --keep-warm"),
        ("daily", "backup prune --apply"),
        ("before a production deployment", "drill --backup latest"),
        ("before each migration", "backup take full --reason pre-migration"),
    } <= due
    assert not [command for _, command in due if command.startswith(("wal ", "backup take physical"))]
    assert (("daily", "backup provider") in due) == (provider == "Supabase")
    assert manual.metric("Recoverable to") is not None
    assert manual.thresholds_of("Recoverable to") != ()


def test_recovery_to_any_second_is_switched_on_by_deleting_two_lines() -> None:
    text = manual_text(findings())
    assert text.count("\n<!--\n") == text.count("\n-->\n") == 1
    why = " ".join(text.split("<!--")[1].split("###")[0].split())
    assert "`wal receive` creates a replication slot" in why
    assert "until its disk is full" in why
    manual, problems = parse(text.replace("\n<!--\n", "\n").replace("\n-->\n", "\n"))
    assert problems == []
    added = {(one.when.kind, one.command.text) for one in manual.schedule if one.when and one.command}
    before = {(one.when.kind, one.command.text) for one in read(findings()).schedule if one.when and one.command}
    assert added - before == {
        ("clock", "backup take physical"),
        ("clock", "drill quarterly"),
        ("continuous", "wal receive"),
        ("every", "wal copy --to 'NAME OF THE STORE'"),
    }
    assert "<!--" not in manual_text(findings(provider="Supabase"))  # there is nothing of this to switch on


def test_the_plain_manual_is_what_init_writes_for_no_table_in_particular() -> None:
    """To write it anew: TABSYNC_WRITE=1 make test ARGS=tests/unit/init"""
    nothing = Findings({"database": "Any database", "version": "15 to 18"}, "self-hosted", (), (), (), 0)
    text = manual_text(nothing)
    if os.environ.get("TABSYNC_WRITE"):
        PLAIN_MANUAL.write_text(text, encoding="utf-8")
    assert PLAIN_MANUAL.read_text(encoding="utf-8") == text


def test_the_profile_and_a_new_manual_measure_the_same() -> None:
    """One text, for people to read in both: who changes it here changes it there."""
    written = (files("tabsync.init") / "templates" / "metrics.md").read_text(encoding="utf-8")
    assert written.strip() in PROFILE_MANUAL.read_text(encoding="utf-8")
