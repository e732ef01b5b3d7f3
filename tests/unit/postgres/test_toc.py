"""The table of contents of a dump: read as it was written, and damage is a problem that is told, never a crash."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import ProblemFound
from tabsync.postgres.toc import SECTIONS, Entry, parse_toc

VERSIONS = [(1, minor) for minor in range(12, 17)]


@dataclass
class Encoder:
    """Writes what parse_toc reads: the layout of pg_backup_archiver.c, in the test's own words."""

    version: tuple[int, int]
    int_size: int = 4

    def integer(self, value: int) -> bytes:
        return bytes([value < 0]) + abs(value).to_bytes(self.int_size, "little")

    def string(self, text: str | None) -> bytes:
        if text is None:
            return self.integer(-1)
        content = text.encode("utf-8", "surrogateescape")
        return self.integer(len(content)) + content

    def header(self, count: int) -> bytes:
        start = b"PGDMP" + bytes([*self.version, 0, self.int_size, 8, 5])
        start += b"\x00" if self.version >= (1, 15) else self.integer(-1)
        start += b"".join(self.integer(number) for number in (1, 2, 3, 4, 5, 126, -1))
        start += b"".join(self.string(text) for text in ("shop", "17.2", None))
        return start + self.integer(count)

    def entry(self, one: Entry) -> bytes:
        parts = [self.integer(one.dump_id), self.integer(1), self.string("1259"), self.string("16385")]
        section = self.integer(SECTIONS.index(one.section))
        parts += [self.string(one.name), self.string(one.kind), section, self.string(one.definition)]
        parts += [self.string("DROP ..."), self.string(one.copy), self.string(one.schema), self.string(one.tablespace)]
        if self.version >= (1, 14):
            parts.append(self.string(one.access_method))
        if self.version >= (1, 16):
            parts.append(self.integer(ord("r")))
        parts += [self.string(one.owner), self.string("false")]
        parts += [self.string(str(number)) for number in one.dependencies]
        return b"".join([*parts, self.string(None), self.string(one.file or None)])

    def whole(self, entries: list[Entry]) -> bytes:
        return self.header(len(entries)) + b"".join(map(self.entry, entries))


NAMES = st.text(max_size=12)
ENTRIES = st.builds(
    Entry,
    dump_id=st.integers(0, 2**31 - 1),
    kind=st.sampled_from(["TABLE", "TABLE DATA", "EXTENSION", "FK CONSTRAINT"]),
    schema=NAMES,
    name=NAMES,
    owner=NAMES,
    definition=NAMES,
    copy=NAMES,
    tablespace=NAMES,
    access_method=st.sampled_from(["", "heap"]),
    dependencies=st.lists(st.integers(0, 99_999), max_size=4).map(tuple),
    file=st.sampled_from(["", "3001.dat"]),
    section=st.sampled_from(SECTIONS),
)


def without_what_the_version_lacks(entry: Entry, version: tuple[int, int]) -> Entry:
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**(values | ({} if version >= (1, 14) else {"access_method": ""})))


@given(st.sampled_from(VERSIONS), st.sampled_from([4, 8]), st.lists(ENTRIES, max_size=4))
def test_what_is_written_is_read(version: tuple[int, int], int_size: int, entries: list[Entry]) -> None:
    expected = [without_what_the_version_lacks(one, version) for one in entries]
    assert parse_toc(Encoder(version, int_size).whole(entries)) == expected


ENTRY = Entry(7, "TABLE DATA", "pub lic", "or;ders\n", "own", "", "COPY ...", "", "", (3, 4), "3001.dat")
GOOD = Encoder((1, 16)).whole([ENTRY, ENTRY])


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_table_of_contents_that_was_cut_off_is_a_problem(length: int) -> None:
    with pytest.raises(ProblemFound):
        parse_toc(GOOD[:length])


def parses_or_is_a_problem(content: bytes) -> None:
    with contextlib.suppress(ProblemFound):
        assert all(isinstance(entry, Entry) for entry in parse_toc(content))


@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
def test_no_flipped_byte_crashes_it(mask: int) -> None:
    for at in range(len(GOOD)):
        parses_or_is_a_problem(GOOD[:at] + bytes([GOOD[at] ^ mask]) + GOOD[at + 1 :])


@given(st.binary(max_size=80), st.sampled_from(VERSIONS), st.integers(0, 255))
def test_no_bytes_crash_it(tail: bytes, version: tuple[int, int], int_size: int) -> None:
    parses_or_is_a_problem(tail)
    parses_or_is_a_problem(b"PGDMP" + tail)
    parses_or_is_a_problem(b"PGDMP" + bytes([*version, 0, int_size]) + tail)
    parses_or_is_a_problem(Encoder(version).header(2) + tail)


def test_a_dependency_that_is_no_number_is_a_problem() -> None:
    at = GOOD.rindex(b"4", 0, GOOD.rindex(b"3001.dat") - 5)
    with pytest.raises(ProblemFound, match="corrupt"):
        parse_toc(GOOD[:at] + b"x" + GOOD[at + 1 :])


def test_a_negative_number_of_entries_is_a_problem() -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        parse_toc(Encoder((1, 16)).header(-2))


@pytest.mark.parametrize("version", [(1, 11), (1, 17), (2, 0)])
def test_an_archive_of_another_age_says_to_upgrade(version: tuple[int, int]) -> None:
    with pytest.raises(ProblemFound, match=rf"archive version {version[0]}\.{version[1]}"):
        parse_toc(b"PGDMP" + bytes(version) + GOOD[7:])


@pytest.mark.parametrize("content", [b"", b"PGDM", b"-- PostgreSQL database dump"])
def test_something_else_is_no_table_of_contents(content: bytes) -> None:
    with pytest.raises(ProblemFound, match="not a table of contents"):
        parse_toc(content)
