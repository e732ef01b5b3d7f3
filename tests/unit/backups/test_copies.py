"""What decides about copies without a server: columns by name, indexes that can't be valid, views that reach out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.copies.dumps.partitioned import invalid_in_dump
from tabsync.copies.dumps.table_file import columns_of, count_lines, same_rows
from tabsync.copies.restores.outside import reaching_out
from tabsync.copies.restores.passes import _stages
from tabsync.postgres.toc import Entry, dependents


def entry(dump_id: int, kind: str, name: str, definition: str = "", *needs: int) -> Entry:
    return Entry(dump_id, kind, "public", name, "o", definition, "", "", "", needs, "")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_columns_are_read_whatever_they_are_called(names: list[str]) -> None:
    assert columns_of(f'COPY public."a (b), c" ({", ".join(map(quoted, names))}) FROM stdin;\n') == tuple(names)


def test_a_statement_without_columns_names_none() -> None:
    assert columns_of("COPY public.t  FROM stdin;\n") == ()
    assert columns_of("") == ()
    assert columns_of('COPY "x y".t (a, "B c") FROM stdin;\n') == ("a", "B c")


@pytest.mark.parametrize(
    ("other", "columns", "same"),
    [
        ("2\t1\\t\n4\t3\n\\.\n\n\n", ("b", "a"), True),
        ("2\t1\\t\n4\t5\n\\.\n\n\n", ("b", "a"), False),
        ("2\t1\\t\n\\.\n\n\n", ("b", "a"), False),
        ("4\t3\n2\t1\\t\n\\.\n\n\n", ("b", "a"), False),
        ("1\\t\t2\n3\t4\n\\.\n\n\n", ("b", "a"), False),
        ("2\t1\\t\n4\t3\n\\.\n\n\n", ("b", "c"), False),
    ],
)
def test_rows_are_the_same_column_by_name(other: str, columns: tuple[str, ...], same: bool, tmp_path: Path) -> None:
    (tmp_path / "1.dat").write_text("1\\t\t2\n3\t4\n\\.\n\n\n")
    (tmp_path / "2.dat").write_text(other)
    assert same_rows((tmp_path, "1.dat", ("a", "b")), (tmp_path, "2.dat", columns)) is same
    assert count_lines(tmp_path, "1.dat") == 2


PARTITIONED = [
    entry(1, "TABLE", "t"),
    entry(2, "TABLE", "t1", "", 1),
    entry(3, "TABLE", "t2", "", 1),
    entry(4, "TABLE ATTACH", "t1", "", 2, 1),
    entry(5, "TABLE ATTACH", "t2", "", 3, 1),
    entry(6, "INDEX", "i", "CREATE INDEX i ON ONLY public.t USING btree (a);", 1),
    entry(7, "INDEX", "i1", "CREATE INDEX i1 ON public.t1 USING btree (a);", 2, 6),
    entry(8, "INDEX", "i2", "CREATE INDEX i2 ON public.t2 USING btree (a);", 3, 6),
    entry(9, "INDEX ATTACH", "i1", "ALTER INDEX public.i ATTACH PARTITION public.i1;", 7, 6, 2, 1),
    entry(10, "INDEX ATTACH", "i2", "ALTER INDEX public.i ATTACH PARTITION public.i2;", 8, 6, 3, 1),
]


def test_an_index_is_valid_when_every_partition_has_one_attached() -> None:
    assert invalid_in_dump(PARTITIONED) == set()
    assert {str(one) for one in invalid_in_dump(PARTITIONED[:-1])} == {"public.i"}


def test_indexes_are_attached_one_by_one_and_event_triggers_come_last() -> None:
    key = entry(11, "FK CONSTRAINT", "x k", "", 10, 1)
    trigger = entry(12, "EVENT TRIGGER", "e")
    last = [trigger, *PARTITIONED[5:], key]
    stages = [([one.dump_id for one in part], serial) for part, serial in _stages(last)]
    assert stages == [([6, 7, 8], False), ([9, 10], True), ([11], False), ([12], True)]


def test_a_view_that_reaches_another_server_is_found_however_it_does() -> None:
    entries = [
        entry(1, "EXTENSION", "dblink"),
        entry(2, "FOREIGN TABLE", "far"),
        entry(3, "FUNCTION", "ask()", "CREATE FUNCTION ask() ... AS $$ begin perform * from public.far; end $$"),
        entry(4, "FUNCTION", "ask_too()", "CREATE FUNCTION ask_too() ... AS $$ select ask() $$"),
        entry(5, "FUNCTION", "near()", "CREATE FUNCTION near() ... AS $$ select 1 $$"),
        entry(6, "VIEW", "v", "", 2),
        *(
            one
            for at, need in enumerate((1, 2, 4, 5, 6), start=10)
            for one in (entry(at, "MATERIALIZED VIEW", f"m{need}", "", need), entry(at + 10, _DATA, f"m{need}", "", at))
        ),
        entry(30, "MATERIALIZED VIEW", "above", "", 11),
        entry(31, _DATA, "above", "", 30, 21),
    ]
    assert reaching_out(entries) == {20, 21, 22, 24, 31}
    assert reaching_out([one for one in entries if one.dump_id not in (1, 2)]) == set()


_DATA = "MATERIALIZED VIEW DATA"


IDS = st.integers(0, 15)


@given(st.lists(st.tuples(IDS, st.lists(IDS, max_size=3)), max_size=16), st.sets(IDS))
def test_dependents_are_found_as_by_looking_again(graph: list[tuple[int, list[int]]], roots: set[int]) -> None:
    entries = [entry(dump_id, "TABLE", "t", "", *needs) for dump_id, needs in graph]
    found, grew = set(roots), True
    while grew:
        more = {one.dump_id for one in entries if found & set(one.dependencies)} - found
        grew, found = bool(more), found | more
    assert dependents(entries, roots) == found
