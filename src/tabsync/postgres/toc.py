"""Reads the table of contents of a pg_dump archive (toc.dat, or the head of a custom-format file).

`pg_restore --list` prints names separated by blanks and flattens line breaks, so a table called "a b" can't be told
from a table b in schema a. The archive itself is unambiguous. Its layout is that of pg_backup_archiver.c, archive
versions 1.12 (PostgreSQL 9) to 1.16 (PostgreSQL 16 and later):
https://github.com/postgres/postgres/blob/REL_17_STABLE/src/bin/pg_dump/pg_backup_archiver.c
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tabsync.kernel.errors import ProblemFound

_OLDEST, _NEWEST = (1, 12), (1, 16)
_CUSTOM = 1  # archCustom
_NO_DATA = 3  # K_OFFSET_NO_DATA

SECTIONS = ("", "none", "pre-data", "data", "post-data")
"""By their numbers in the archive; what is about other entries (comments, grants) has "none"."""

_SECTIONS = dict(enumerate(SECTIONS))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a thing to create, or the data of a table.

    kind: "TABLE", "TABLE DATA", "EXTENSION", ...; definition: its SQL; copy: the COPY statement of a table's data;
    file: the name of its data file in the directory, "" when it has none; section: when it is restored, see SECTIONS.
    """

    dump_id: int
    kind: str
    schema: str
    name: str
    owner: str
    definition: str
    copy: str
    tablespace: str
    access_method: str
    dependencies: tuple[int, ...]
    file: str
    section: str = ""

    @property
    def has_rows(self) -> bool:
        """Whether its data file holds the rows of a table."""
        return self.kind == "TABLE DATA" and bool(self.file)


_CLIENT_ENCODING = re.compile(r"client_encoding = '(\w+)'")
_CODECS = {
    "BIG5": "big5",
    "EUC_CN": "gb2312",
    "EUC_JIS_2004": "euc_jis_2004",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "JOHAB": "johab",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
    "LATIN1": "iso8859-1",
    "LATIN10": "iso8859-16",
    "SHIFT_JIS_2004": "shift_jis_2004",
    "SJIS": "cp932",
    "UHC": "cp949",
    **{f"LATIN{number}": f"iso8859-{number}" for number in (2, 3, 4)},
    **{f"LATIN{number}": f"iso8859-{part}" for number, part in ((5, 9), (6, 10), (7, 13), (8, 14), (9, 15))},
    **{f"ISO_8859_{part}": f"iso8859-{part}" for part in (5, 6, 7, 8)},
    **{f"WIN{number}": f"cp{number}" for number in (866, 874, *range(1250, 1259))},
}
"""PostgreSQL's encodings in Python's names, but for UTF8, SQL_ASCII and those that Python doesn't know.

https://www.postgresql.org/docs/current/multibyte.html
"""

_FORMS = {4: struct.Struct("<BI"), 8: struct.Struct("<BQ")}
"""How integers are written, by their size: a sign, then the value. A large schema has a million of them."""


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self.offset_size = 8
        self.is_custom = False
        self.form = _FORMS[4]
        self.codec = "utf-8"

    def byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def integer(self) -> int:
        sign, value = self.form.unpack_from(self.content, self.at)
        self.at += self.form.size
        return -value if sign else int(value)

    def data_file(self, dump_id: int) -> str:
        """Where an entry's data is: a file's name, in a custom-format file a made-up one, "" when there is none."""
        if not self.is_custom:
            return self.text()
        state = self.byte()
        self.at += self.offset_size
        return "" if state == _NO_DATA else f"{dump_id}.dat"

    def string(self) -> str | None:
        found = self.raw()
        return None if found is None else found.decode(self.codec, "surrogateescape")

    def raw(self) -> bytes | None:
        """A string's bytes, for those that nobody reads."""
        sign, length = self.form.unpack_from(self.content, self.at)
        start = self.at + self.form.size
        if sign and length:
            self.at = start
            return None
        self.at = start + length
        if self.at > len(self.content):
            raise IndexError("the file ends too early")
        return self.content[start : self.at]

    def text(self) -> str:
        return self.string() or ""


def read_toc(path: Path) -> list[Entry]:
    """All entries of a directory-format dump's toc.dat, in its order.

    Raises ProblemFound when it isn't one, or is of a version that isn't known.
    """
    facts = path.stat()
    return list(_read(path, facts.st_size, facts.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path: Path, size: int, changed: int) -> tuple[Entry, ...]:
    """The entries of the file as it is: one step after the other reads the same, and a large one takes seconds."""
    return tuple(parse_toc(path.read_bytes()))


def parse_toc(content: bytes) -> list[Entry]:
    """The same, from the bytes."""
    reader = _Reader(content)
    try:
        version = _header(reader)
        count = reader.integer()
        if count < 0:
            raise ValueError("a negative number of entries")
        return [_entry(reader, version) for _ in range(count)]
    except (LookupError, ValueError, struct.error):
        raise ProblemFound(
            "toc.dat ends too early or is corrupt", "choose another backup: tabsync backup list"
        ) from None


def _header(reader: _Reader) -> tuple[int, int]:
    if reader.content[:5] != b"PGDMP":
        raise ProblemFound("toc.dat is not a table of contents that pg_dump wrote")
    reader.at = 5
    version = (reader.byte(), reader.byte())
    if not _OLDEST <= version <= _NEWEST:
        raise ProblemFound(
            f"toc.dat has archive version {version[0]}.{version[1]}, which is unknown", "upgrade tabsync"
        )
    reader.byte()  # revision
    reader.form = _FORMS[reader.byte()]
    reader.offset_size = reader.byte()
    reader.is_custom = reader.byte() == _CUSTOM
    if version >= (1, 15):
        reader.byte()  # compression algorithm
    else:
        reader.integer()  # compression level
    for _ in range(7):  # when it was made, as a struct tm
        reader.integer()
    for _ in range(3):  # database, server version, pg_dump version
        reader.raw()
    return version


def _entry(reader: _Reader, version: tuple[int, int]) -> Entry:
    dump_id = reader.integer()
    reader.integer()  # has a dumper
    reader.raw()  # table oid
    reader.raw()  # oid
    name, kind = reader.text(), reader.text()
    section = _SECTIONS[reader.integer()]
    definition = reader.text()
    if kind == "ENCODING":  # the first of all; what follows is written in it
        reader.codec = _codec(definition)
    reader.raw()  # DROP statement
    copy, schema, tablespace = reader.text(), reader.text(), reader.text()
    access_method = reader.text() if version >= (1, 14) else ""
    if version >= (1, 16):
        reader.integer()  # relkind
    owner = reader.text()
    reader.raw()  # with OIDs
    dependencies = []
    while (dependency := reader.raw()) is not None:
        dependencies.append(int(dependency))
    return Entry(
        dump_id,
        kind,
        schema,
        name,
        owner,
        definition,
        copy,
        tablespace,
        access_method,
        tuple(dependencies),
        reader.data_file(dump_id),
        section,
    )


def _codec(definition: str) -> str:
    """How Python calls the encoding that an archive is in; UTF-8 for what it doesn't know, whose names stay bytes."""
    found = _CLIENT_ENCODING.search(definition)
    return _CODECS.get(found[1], "utf-8") if found else "utf-8"


def dependents(entries: Iterable[Entry], roots: set[int]) -> set[int]:
    """The entries that need one of the roots, directly or not, and the roots themselves."""
    needing: dict[int, list[int]] = {}
    for entry in entries:
        for needed in entry.dependencies:
            needing.setdefault(needed, []).append(entry.dump_id)
    found, waiting = set(roots), list(roots)
    while waiting:
        more = set(needing.get(waiting.pop(), ())) - found
        found |= more
        waiting += more
    return found
