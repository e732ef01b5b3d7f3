"""The file in which a dump keeps the rows of one table: a line for each row, compressed or not.

A row is one line, since COPY writes line breaks within values as \\n, and tabs as \\t:
https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

_BLOCK = 1 << 20
_END = b"\\.\n\n\n"
"""How pg_dump ends a table file."""

IDENTIFIER = r'(?:"(?:[^"]|"")*"|[^\s",().;]+)'
_COPY = re.compile(rf"COPY {IDENTIFIER}(?:\.{IDENTIFIER})* \(({IDENTIFIER}(?:, {IDENTIFIER})*)\) FROM stdin;\s*")
_NAME = re.compile(IDENTIFIER)


def columns_of(copy: str) -> tuple[str, ...]:
    """The columns of a COPY statement of pg_dump's, in the order in which the file has them; () when it names none."""
    match = _COPY.fullmatch(copy)
    return tuple(map(unquoted, _NAME.findall(match[1]))) if match else ()


def unquoted(identifier: str) -> str:
    """The name that an identifier stands for in a statement of pg_dump's."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


@contextmanager
def opened(dump: Path, file: str) -> Iterator[BinaryIO]:
    """A table's file, to be read as its plain text, whether it is compressed or not."""
    plain, packed = dump / file, dump / f"{file}.zst"
    if not packed.exists():
        with plain.open("rb") as source:
            yield source
        return
    with (
        packed.open("rb") as source,
        zstandard.ZstdDecompressor().stream_reader(source) as reader,
        io.BufferedReader(cast(io.RawIOBase, reader), _BLOCK) as buffered,
    ):
        yield buffered


def count_lines(dump: Path, file: str) -> int:
    """The rows in a table's file."""
    breaks, tail = 0, b""
    with opened(dump, file) as source:
        while block := source.read(_BLOCK):
            breaks += block.count(b"\n")
            tail = (tail + block)[-len(_END) :]
    return breaks - _END.count(b"\n") if tail == _END else breaks


def same_rows(first: tuple[Path, str, Sequence[str]], second: tuple[Path, str, Sequence[str]]) -> bool:
    """Whether two files hold the same rows in the same order, column by name. Each: dump, file, its columns."""
    names = first[2]
    if len(set(names)) != len(names) or sorted(names) != sorted(second[2]):
        return False
    order = [list(second[2]).index(name) for name in names]
    with opened(first[0], first[1]) as left, opened(second[0], second[1]) as right:
        pairs = zip_longest(left, right)
        return all(one is not None and other is not None and one == _ordered(other, order) for one, other in pairs)


def _ordered(line: bytes, order: Sequence[int]) -> bytes:
    fields = line.rstrip(b"\n").split(b"\t")
    if len(fields) != len(order):
        return line  # the end of the file: no row
    return b"\t".join([fields[place] for place in order]) + line[len(line.rstrip(b"\n")) :]
