"""Dumps that others made: which format a file has, found by looking at it, and what is in it.

https://www.postgresql.org/docs/current/app-pgdump.html lists the formats; any of them may be compressed once more.
"""

from __future__ import annotations

import gzip
import io
import itertools
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import zstandard

from tabsync.kernel.errors import BadUsage, ProblemFound, Refused
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import server_major
from tabsync.postgres.installation import Installation, installations
from tabsync.postgres.toc import Entry, parse_toc
from tabsync.system.programs import run_program

Format = Literal["custom", "directory", "tar", "plain"]

_HEAD = 64 << 20
"""Bytes within which the table of contents of a compressed dump must end."""

_ALLOWED = ("restrict", "unrestrict", ".")
_COPY = re.compile(rb"^COPY .* FROM stdin;$")
_SET = re.compile(rb"SET (\w+) = ")
_RESTRICTS = (b"\\restrict ", b"\\unrestrict ")
_HEADS = (b"--", b"\\restrict ", b"SELECT pg_catalog.set_config(")
_HEADER = 200  # lines
_COMMAND = re.compile(rb"^\\([A-Za-z_.!?]+)")


class _Unpacked(io.RawIOBase):
    """A zstd stream as Python's buffered reader wants it: the library's own has no lines."""

    def __init__(self, source: zstandard.ZstdDecompressionReader) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.readinto(buffer)


@dataclass(frozen=True, slots=True)
class ExternalDump:
    """A dump that isn't ours. packed: "gz", "zst" or ""; entries: of an archive; size, changed: to know it again.

    restricts: a script with psql's \\restrict in it, as pg_dump writes it since the releases of August 2025.
    """

    path: Path
    format: Format
    packed: str
    entries: tuple[Entry, ...]
    size: int
    changed: int
    restricts: bool = False

    @property
    def is_archive(self) -> bool:
        """Whether pg_restore reads it, and not psql."""
        return self.format != "plain"

    @property
    def encoding(self) -> str:
        """The encoding that the dump states; "UTF8" when it states none."""
        stated = [one.definition for one in self.entries if one.kind == "ENCODING"]
        match = re.search(r"'([^']+)'", stated[0]) if stated else None
        return match[1] if match else "UTF8"


def foreign_dump(path: Path) -> ExternalDump:
    """Look at a file, or a directory of pg_dump's.

    Raises BadUsage when there is none, Refused when it is of no format that we restore, ProblemFound when damaged.
    """
    path = path.absolute()
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadUsage(f"{path} is a pipe or a device, and a dump is read twice", "write it to a file first")
    try:
        if path.is_dir():
            toc = path / "toc.dat"
            return _known(toc, "directory", "", tuple(parse_toc(toc.read_bytes())), path)
        with path.open("rb") as file:
            packed = _packing(file.read(4))
        with opened(path, packed) as source:
            head = source.read(512)
            return _of_head(path, packed, head, source)
    except FileNotFoundError as error:
        raise BadUsage(
            f"there is no dump {error.filename or path}", "give the path of the file that pg_dump wrote"
        ) from None
    except OSError as error:
        raise BadUsage(f"can't read {path}: {error.strerror or error}", "check its permissions") from None
    except tarfile.TarError as error:
        raise ProblemFound(f"{path} is corrupt: {error}", "copy the file again from its source") from None


@contextmanager
def opened(path: Path, packed: str) -> Iterator[BinaryIO]:
    """The content of a file, unpacked. Raises ProblemFound when it turns out to be damaged while it is read."""
    try:
        with _opened(path, packed) as source:
            yield source
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise ProblemFound(f"{path} is corrupt: {error}", "copy the file again from its source") from None


@contextmanager
def _opened(path: Path, packed: str) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        if packed == "gz":
            with gzip.open(file) as source:
                yield cast(BinaryIO, source)
        elif packed == "zst":
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
                yield io.BufferedReader(_Unpacked(stream), 1 << 20)
        else:
            yield file


def check_script(path: Path, packed: str) -> None:
    """Refuse a script with commands to psql itself: one of pg_dump --create connects to another database.

    Raises ProblemFound when it is one of pg_dump's that was cut off: psql would take what is there for all of it.
    Only a command that begins its line is found, to say it beforehand; psql itself refuses the others when it is run
    restricted (restore_file.py).
    """
    in_copy, began, ended = False, False, False
    with opened(path, packed) as source:
        for number, line in enumerate(source, start=1):
            if in_copy:
                in_copy = line.rstrip(b"\r\n") != b"\\."
                continue
            began = began or line.startswith(b"-- PostgreSQL database dump\n")
            ended = line.startswith(b"-- PostgreSQL database dump complete") or ended
            in_copy = bool(_COPY.match(line.rstrip(b"\r\n")))
            match = _COMMAND.match(line)
            if match and match[1].decode() not in _ALLOWED:
                raise Refused(
                    f"{path.name}, line {number}: \\{match[1].decode()} is a psql command; TabSync does not run it",
                    "make the dump without --create, or run the script with psql",
                )
    if began and not ended:
        raise ProblemFound(
            f"{path.name} is incomplete: its last line is missing", "copy the file again from its source"
        )


def header_settings(path: Path, packed: str) -> list[str]:
    """The settings that a script of pg_dump's begins with: a newer one sets some that an older server doesn't know."""
    with opened(path, packed) as source:
        lines = list(itertools.islice(_header(source), _HEADER))
    if not any(line.startswith(b"-- PostgreSQL database dump") for line in lines):
        return []
    return [match[1].decode() for line in lines if (match := _SET.match(line))]


def made_to_fit(source: BinaryIO, settings: Sequence[str] = ()) -> Iterator[bytes]:
    """The lines of a script without its own \\restrict, which fails where psql is restricted already, and without
    some settings of its header."""
    for line in _header(source):
        match = _SET.match(line)
        if not (match and match[1].decode() in settings) and not line.startswith(_RESTRICTS):
            yield line
    in_copy = False
    for line in source:
        if in_copy:
            in_copy = line.rstrip(b"\r\n") != b"\\."
        elif line.startswith(_RESTRICTS):
            continue
        else:
            in_copy = bool(_COPY.match(line.rstrip(b"\r\n")))
        yield line


def _header(source: BinaryIO) -> Iterator[bytes]:
    """The lines up to the empty one behind the settings; nothing of the dump itself is among them."""
    began = False
    for line in source:
        yield line
        began = began or bool(_SET.match(line))
        if (began and not line.strip()) or not (_SET.match(line) or line.startswith(_HEADS) or not line.strip()):
            return


def _packing(head: bytes) -> str:
    return "gz" if head[:2] == b"\x1f\x8b" else "zst" if head == b"\x28\xb5\x2f\xfd" else ""


def _of_head(path: Path, packed: str, head: bytes, rest: BinaryIO) -> ExternalDump:
    if head.startswith(b"PGDMP"):
        return _known(path, "custom", packed, tuple(parse_toc(head + rest.read(_HEAD))))
    if head[257:262] == b"ustar":
        with opened(path, packed) as again, tarfile.open(fileobj=again, mode="r|") as tar:
            first = tar.next()
            toc = tar.extractfile(first) if first is not None and first.name == "toc.dat" else None
            if toc is None:
                raise Refused(
                    f"{path} is a tar archive, but pg_dump did not write it",
                    "unpack it, and give the dump that is in it",
                )
            return _known(path, "tar", packed, tuple(parse_toc(toc.read())))
    if b"PostgreSQL database cluster dump" in head:
        raise Refused(f"{path} is a dump of a whole cluster", "restore a script of pg_dumpall with psql")
    if not head or b"\0" in head:
        raise Refused(
            f"{path} is not a dump that pg_dump wrote",
            "the formats are custom, directory, tar and plain SQL, also compressed as .gz or .zst",
        )
    return replace(_known(path, "plain", packed, ()), restricts=b"\n\\restrict " in head)


def _known(
    stated: Path, form: Format, packed: str, entries: tuple[Entry, ...], path: Path | None = None
) -> ExternalDump:
    facts = stated.stat()
    return ExternalDump(path or stated, form, packed, entries, facts.st_size, facts.st_mtime_ns)


def programs_for_dump(target: Facts, archive: Path | None) -> Installation:
    """The programs of the server's own version or later that can read the archive.

    Raises Refused when there is none, with pg_restore's own reason.
    """
    fit = sorted((one for one in installations() if one.major >= server_major(target)), key=lambda one: one.major)
    complaint = ""
    for one in fit:
        if archive is None:
            return one
        listed = run_program([one.program("pg_restore"), "--list", archive])
        if listed.code == 0:
            return one
        complaint = listed.complaint().removeprefix("pg_restore: error: ")
    if not fit:
        raise Refused(
            f"no programs of PostgreSQL {server_major(target)} or later were found",
            "install the package postgresql-client",
        )
    raise Refused(
        f"no pg_restore on this machine can read it: {complaint}",
        "install a newer postgresql-client, or check that the file is complete",
    )
