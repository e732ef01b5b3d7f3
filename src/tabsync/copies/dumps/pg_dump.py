"""Drives pg_dump's directory format, the same way for a backup and for the second dump of the proof.

Restoring such a dump and dumping the copy again with the same settings gives the same bytes in every table file:
that is what the round-trip proof stands on, so both sides must go through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import zstandard

from tabsync.copies.dumps.dump_failed import LOCK_WAIT, dump_failed
from tabsync.copies.dumps.upload import Sender
from tabsync.postgres.connect import program_environment
from tabsync.postgres.installation import Installation
from tabsync.postgres.toc import read_toc
from tabsync.system.programs import run_program

LEVEL = 1
"""zstd level of table files: measured, higher levels cost more time than they save."""


@dataclass(frozen=True, slots=True)
class DumpedFile:
    """A file of a finished dump: its path, and the table whose rows it holds ("" for others)."""

    path: Path
    schema: str = ""
    table: str = ""


def dump_command(
    clients: Installation, jobs: int, into: str = "DIRECTORY", snapshot: str = "", options: Sequence[str] = ()
) -> list[str]:
    """The exact pg_dump command; the connection goes through the environment. options: what to dump."""
    compress = f"zstd:{LEVEL}" if clients.has_zstd() else "0"
    command = [str(clients.program("pg_dump")), "--format=directory", f"--jobs={jobs}", f"--compress={compress}"]
    command += ["--verbose", "--no-password", f"--lock-wait-timeout={LOCK_WAIT}", f"--file={into}", *options]
    return [*command, f"--snapshot={snapshot}"] if snapshot else command


def dump_directory(
    conninfo: str,
    into: Path,
    clients: Installation,
    *,
    jobs: int,
    claim: Path,
    snapshot: str = "",
    tables: int = 0,
    options: Sequence[str] = (),
    report: Callable[[float, float, str], None],
    sender: Sender | None = None,
    settings: Mapping[str, str] | None = None,
) -> list[DumpedFile]:
    """Dump a database into a new directory, zstd-compressed whatever the program can, and list the files.

    tables: how many are expected, for the progress; options: what to dump (Contents.options); claim: the claimed
    directory it works for; sender: who takes files away as they are finished, they are not listed then;
    settings: of its sessions.
    Raises FailedPartway with pg_dump's own complaint.
    """
    started = 0

    def on_line(line: str) -> None:
        nonlocal started
        if "dumping contents of table" in line:
            started += 1
            report(min(started, tables or started), tables or started, "tables")

    env = program_environment(conninfo, "backup", settings)
    # What is sent away is made durable there, and here it would be looked for in vain.
    options = [*options, "--no-sync"] if sender else options
    command = dump_command(clients, jobs, str(into), snapshot, options)
    beside = sender.watching if sender else None
    done = run_program(command, env=env, claim=claim, on_line=on_line, beside=beside)
    if done.code != 0:
        raise dump_failed(done.complaint(), into)
    if not clients.has_zstd():
        _compress(into)
    return list_files(into)


def list_files(directory: Path) -> list[DumpedFile]:
    """The files of a dump in a stable order, each with the table it holds."""
    tables = tables_of(directory)
    return [
        DumpedFile(path, *tables.get(path.name.removesuffix(".zst"), ("", ""))) for path in sorted(directory.iterdir())
    ]


def tables_of(directory: Path) -> dict[str, tuple[str, str]]:
    """Schema and name of the table whose rows a dump's file holds, by the file's name without .zst."""
    return {entry.file: (entry.schema, entry.name) for entry in read_toc(directory / "toc.dat") if entry.has_rows}


def decompress_for(clients: Installation, directory: Path) -> None:
    """Unpack a dump's files where pg_restore can't read zstd itself."""
    if clients.has_zstd():
        return
    for path in sorted(directory.glob("*.dat.zst")):
        with path.open("rb") as source, path.with_suffix("").open("wb") as target:
            zstandard.ZstdDecompressor().copy_stream(source, target, read_size=1 << 20, write_size=1 << 20)
        path.unlink()


def finisher(clients: Installation) -> Callable[[Path], Path]:
    """What makes a file that pg_dump has closed ready to be stored: compressed, where the program couldn't."""
    return (lambda path: path) if clients.has_zstd() else _compress_file


def _compress(directory: Path) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(_compress_file, [path for path in sorted(directory.glob("*.dat")) if path.name != "toc.dat"]))


def _compress_file(path: Path) -> Path:
    compressed = path.with_name(f"{path.name}.zst")
    with path.open("rb") as source, compressed.open("wb") as target:
        size = path.stat().st_size
        zstandard.ZstdCompressor(LEVEL).copy_stream(source, target, size=size, read_size=1 << 20)
    path.unlink()
    return compressed
