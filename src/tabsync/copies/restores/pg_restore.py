"""Drives pg_restore on a dump's directory, for the drill and for every restore, and says which entries failed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tabsync.copies.restores.different import called
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import program_environment
from tabsync.postgres.installation import Installation
from tabsync.postgres.toc import Entry
from tabsync.system.programs import run_program

_COUNTED = ("TABLE DATA", "INDEX", "CONSTRAINT", "FK CONSTRAINT")
_BEGUN = re.compile(r"pg_restore: (?:processing data for table|creating (?:INDEX|CONSTRAINT|FK CONSTRAINT)) ")
"""Without parallel workers it says what it begins, and not what it has finished."""

_CLEAN = re.compile(r"pg_restore: error: (?!error: |pg_restore:)(?!.*pg_restore: error: )")
_MIXED = re.compile(r"^pg_restore:(?! )|^pg_restore:  |error: error: |^ *error: |.pg_restore:")
"""Each worker writes a message in parts: its name, a space, the kind, and the text with the end of its line, which
stay whole. So there are as many kinds as texts, also where they stand in the wrong lines."""

MIXED_UP = "pg_restore's workers"
"""What failed, where two workers wrote into one line of stderr, so that an error can't be read. The number of errors
that pg_restore tells at its end is no help: a worker that had one counts all that it does afterwards."""

_OURS = re.compile(r"pg_restore: ")
_FROM_ENTRY = re.compile(r"from TOC entry (\d+);")
_ERROR = re.compile(r"pg_restore: error: (?:could not execute query: )?(?:ERROR:\s*)?(.*)")
_FROM_SERVER = re.compile(r"([^\W\d_a-zß-ÿ]+):  +(.*)")
_PARTS = {"DETAIL": "detail", "HINT": "hint", "CONTEXT": "context"}
"""What the server calls them, where it speaks English: only a superuser's session makes it. Others go with detail."""

# pg_restore 17 sets it on every server, also on those that don't know it yet; without it nothing is amiss. Of the
# server's words only the name is looked at: they may be German.
_HARMLESS = re.compile(r"[^\w\s]transaction_timeout[^\w\s]$")


def run_pg_restore(
    clients: Installation,
    dump: Path,
    entries: Sequence[Entry],
    options: Sequence[str],
    *,
    conninfo: str,
    report: Callable[[float, float, str], None],
    form: str = "directory",
    claim: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> list[Facts]:
    """Run pg_restore on a fetched dump, which lies in a claimed directory, and list what failed.

    options: where to and what, see restore_command; conninfo: the server, a password in it goes by the environment;
    report: called with the objects that are done; form: the dump's format; claim: the claimed directory, when the dump
    doesn't lie in it; settings: of its sessions (money.py). Each failure has dump_id (None: not of one entry),
    what (MIXED_UP: of an entry that is unknown), error, and detail and context where the server gave them.
    """
    total = sum(1 for entry in entries if entry.kind in _COUNTED)
    done, parallel = 0, any(option.startswith("--jobs=") for option in options)

    def on_line(line: str) -> None:
        nonlocal done
        if "finished item" in line if parallel else _BEGUN.match(line):
            done += 1
            report(min(done, total), total, "objects")

    finished = run_program(
        [*restore_command(clients, options, form), str(dump)],
        env=program_environment(conninfo, "restore", settings),
        claim=claim or dump.parent,
        on_line=on_line,
        all_stderr=True,
    )
    failures = failures_in(finished.stderr, entries)
    harmless = any(_HARMLESS.search(line) for line in finished.stderr)
    if parallel and finished.code != 0 and has_unread(finished.stderr, len(failures)):
        failures.append({"dump_id": None, "what": MIXED_UP, "error": finished.complaint()})
    elif finished.code != 0 and not failures and not harmless:
        failures.append({"dump_id": None, "what": "pg_restore", "error": finished.complaint()})
    return failures


def restore_command(clients: Installation, options: Sequence[str], form: str = "directory") -> list[str]:
    """The exact pg_restore command, but for the dump's directory; the connection goes through the environment."""
    return [str(clients.program("pg_restore")), f"--format={form}", "--verbose", "--no-password", *options]


def write_list(path: Path, dump_ids: Iterable[int]) -> str:
    """Write a list of entries for pg_restore, which reads only the number before the semicolon; gives the option."""
    path.write_text("".join(f"{dump_id};\n" for dump_id in dump_ids))
    return f"--use-list={path}"


def as_dbname(database: str) -> str:
    """A database's name for --dbname, which takes what looks like a connection string for one."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


def name_of(entry: Entry) -> str:
    """An entry as a person would name it."""
    return called(entry.kind, entry.schema, entry.name)


def describe(failure: Facts) -> str:
    """A failure in one line, with what the server said beside the error itself."""
    more = [failure[key] for key in ("detail", "context") if failure.get(key)]
    return f"{failure['what']}: {failure['error']}" + (f" ({'; '.join(more)})" if more else "")


def has_unread(lines: Sequence[str], read: int) -> bool:
    """Whether an error was told that is none of those read, nor harmless: two workers wrote into one line."""
    if not any(_is_mixed_up(line) for line in lines):
        return False
    told = sum(1 if _CLEAN.match(line) else line.count("error: ") for line in lines)
    return told > read + sum(1 for line in lines if _HARMLESS.search(line))


def _is_mixed_up(line: str) -> bool:
    return "error: " in line and not _CLEAN.match(line) and bool(_MIXED.search(line))


def failures_in(lines: Iterable[str], entries: Sequence[Entry]) -> list[Facts]:
    """What failed, from pg_restore's own messages; those of the server come in English (libpq_environment)."""
    known = {entry.dump_id: entry for entry in entries}
    failures: list[Facts] = []
    current: int | None = None
    within: Facts | None = None  # the failure whose DETAIL may follow
    for line in lines:
        if match := _FROM_ENTRY.search(line):
            current, within = int(match[1]), None
        elif match := _ERROR.search(line):
            within = None
            if not _HARMLESS.search(line):
                entry = known.get(current) if current is not None else None
                what = f"{entry.kind.lower()} {name_of(entry)}" if entry else "the archive"
                within = {"dump_id": current, "what": what, "error": match[1]}
                failures.append(within)
        elif _OURS.match(line):
            within = None
        elif within is not None and (match := _FROM_SERVER.match(line)):
            within.setdefault(_PARTS.get(match[1], "detail"), match[2])
    return failures
