"""Pasted texts find their runbooks: texts of real servers and clients (corpus.jsonl), wrapped, misleading, hostile."""

from __future__ import annotations

import html
import json
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tabsync.manual.load import load
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.symptoms.answer import Answer, answer
from tabsync.symptoms.own import Runbook
from tabsync.symptoms.table import causes, originals, table
from tabsync.symptoms.text import LONGEST, read
from tabsync.workspace import PLAIN_MANUAL
from tests.whole import whole

CORPUS = Path(__file__).parent / "corpus.jsonl"
FULL = "Connection pool exhausted"
DOWN = "Server doesn't answer"
SLOW = "Long-running query"
MIGRATION = "Schema migration failed"
DAMAGED = "Data corruption detected"
DELETED = "Accidental data deletion"
DISK = "Disk nearly full"


@cache
def runbooks() -> tuple[Runbook, ...]:
    return tuple(Runbook(one.title, one.symptoms, one.quoted) for one in load(PROFILE_MANUAL).runbooks)


def titles(found: Answer) -> list[str]:
    return list(dict.fromkeys(one.runbook for one in found.fits))


def measured(path: Path) -> tuple[list[str], list[str], list[str], int]:
    """What is not first, not among the first three, and found where none fits; and how many there are."""
    late, lost, wrong, count = [], [], [], 0
    for line in path.read_text().splitlines():
        one: dict[str, Any] = json.loads(line)
        found, name = titles(answer(one["text"], runbooks())), one.get("name") or one.get("id") or one["text"][:60]
        if one["runbook"] in ("", "none"):
            wrong += [f"{name}: {found}"] if found else []
            continue
        count += 1
        late += [f"{name}: {found}"] if found[:1] != [one["runbook"]] else []
        lost += [f"{name}: {found}"] if one["runbook"] not in found[:3] else []
    return late, lost, wrong, count


def test_the_right_runbook_is_first_in_nearly_all_of_what_real_clients_say() -> None:
    late, lost, wrong, count = measured(CORPUS)
    assert count >= 45
    assert len(late) <= count * 0.05, late
    assert not lost
    assert not wrong


@whole
def test_so_it_is_in_a_file_of_texts() -> None:
    """TABSYNC_SYMPTOMS names it: lines of JSON with `text` and `runbook`, "none" where none fits."""
    late, lost, wrong, count = measured(Path(os.environ.get("TABSYNC_SYMPTOMS", CORPUS)))
    assert len(late) <= count * 0.05, late
    assert not lost
    assert len(wrong) <= 3, wrong


CASES = {
    'PANIC:  could not write to file "pg_wal/xlogtemp.77": No space left on device\nserver closed the connection': [
        DISK
    ],
    'ERROR:  could not extend file "base/5/16384": Kein Speicherplatz auf dem Gerät mehr verfügbar': [DISK],
    "SQLSTATE[53100]: Disk full: 7 FEHLER": [DISK],
    "ERROR:  53300: zu viele\nLOCATION:  InitProcess, proc.c:351": [FULL],
    "HikariPool-1 - Connection is not available, request timed out after 30000ms (total=10, active=10)": [FULL, DOWN],
    "asyncio.exceptions.TimeoutError\n  TimeoutError": [DOWN, FULL],
    "FATAL:  Max client connections reached": [FULL],
    "Error: timed out waiting for connection": [FULL],
    "KnexTimeoutError: Knex: Timeout acquiring a connection. The pool is probably full.": [FULL, DOWN],
    "(Postgrex.Error) ERROR 57014 (query_canceled) canceling statement due to user request": [SLOW],
    "LOG:  process 71 still waiting for ShareLock on transaction 9 after 1000.12 ms": [SLOW],
    "ERROR:  missing chunk number 0 for toast value 16444 in pg_toast_2619": [DAMAGED],
    "WARNING:  page verification failed, calculated checksum 1 but expected 2\nERROR:  invalid page in block 3": [
        DAMAGED
    ],
    "server process (PID 3) was terminated by signal 11: Segmentation fault": [DOWN, DAMAGED],
    'ERROR:  could not create unique index "i"': [MIGRATION, DAMAGED],
    'REINDEX INDEX i;\nERROR:  could not create unique index "i"': [DAMAGED, MIGRATION],
    "LOG:  statement: truncate table orders": [DELETED],
    "DELETE 812": [DELETED],
    " count\n-------\n   170\n(1 row)\n\n id\n----\n(0 rows)": [DAMAGED, DELETED],
    'ERROR:  nextval: reached maximum value of sequence "s" (2147483647)': ["Sequence nearly used up"],
    "LOG:  archive command failed with exit code 1": ["WAL archive stopped"],
    "FATAL:  could not connect to the primary server: connection refused": ["Replication lag"],
    "Error: P3009\n\nmigrate found failed migrations in the target database": [MIGRATION],
    "django.db.migrations.exceptions.InconsistentMigrationHistory: Migration a.2 is applied before": [MIGRATION],
}


@pytest.mark.parametrize("text", CASES)
def test_what_clients_here_do_not_say(text: str) -> None:
    assert titles(answer(text, runbooks()))[: len(CASES[text])] == CASES[text]


REFUSED = {
    'ERROR:  invalid input syntax for type integer: "sorry, too many clients already"': "statement",
    "DETAIL:  Key (note)=(connection refused) already exists.\nerror: duplicate key value violates unique constraint": (
        "key or constraint"
    ),
    "ERROR:  syntax error at or near \"x\"\nSTATEMENT:  select 'No space left on device'": "statement",
    "psycopg.errors.UndefinedFunction: operator does not exist: text > integer": "statement",
    "Error: connect ECONNREFUSED 10.0.0.7:6379": "another service",
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.stripe.com', port=443): Max retries exceeded "
    "(Caused by NewConnectionError: [Errno 111] Connection refused)": "another service",
    "ConnectionRefusedError: [Errno 111] Connection refused\n\nDuring handling of the above exception:\n\n"
    "urllib3.exceptions.MaxRetryError: HTTPSConnectionPool(host='a', port=443)": "another service",
    "pika.exceptions.AMQPConnectionError: Connection refused": "another service",
    "MISCONF Redis is configured to save RDB snapshots, but can't persist: No space left on device": "another service",
    "ERROR 1040 (HY000): Too many connections": "another service",
    "FATAL:  terminating connection due to idle-in-transaction timeout\nserver closed the connection unexpectedly": (
        "transaction left open"
    ),
    "ERROR:  temporary file size exceeds temp_file_limit (1024kB)": "a limit of the server",
    'FATAL:  number of requested standby connections exceeds "max_wal_senders" (currently 0)\nSQLSTATE: 53300': (
        "a limit of the server"
    ),
    'ERROR: prepared statement "s1" already exists': "prepared statement and pooler",
    "Traceback:\n  File \"/srv/no space left on device.py\", line 3\n    raise Disk('disk full')\nKeyError: 'P2002'": (
        "key or constraint"
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_database_only_refuses_is_no_runbook(text: str) -> None:
    found = answer(text, runbooks())
    assert not found.fits
    assert found.refused[0].cause.name == REFUSED[text]


def test_another_services_line_hides_nothing_and_adds_nothing() -> None:
    """In a page of a log both may stand."""
    stripe = "HTTPSConnectionPool(host='a', port=443): [Errno 111] Connection refused, ECONNREFUSED"
    full = "FATAL:  sorry, too many clients already"
    for text in (f"{stripe}\n{full}", f"{full}\n{stripe}", f"{full}\nredis: No space left on device"):
        assert titles(answer(text, runbooks())) == [FULL], text
    stopped = "redis is up\nconnection refused: is the server running on that host\n"
    assert titles(answer(stopped, runbooks()))[:1] == [DOWN]
    both = f'{{"service": "kafka-connect", "error": "org.postgresql.util.PSQLException: {full}"}}'
    assert titles(answer(both, runbooks())) == [FULL]


def test_a_text_may_come_in_any_wrapping() -> None:
    plain = "FATAL:  Rolle »app« hat zu viele Verbindungen\nERREUR:  trop de connexions pour le rôle « app »"
    for wrapped in (
        plain.split("\n")[1],
        json.dumps({"message": plain.split("\n")[1]}),
        f"<html><body><p>{html.escape(plain.split(chr(10))[1])}</p></body></html>",
        plain.split("\n")[1].encode().decode("cp1252", "replace"),
        f"\x1b[31m{plain.split(chr(10))[1]}\x1b[0m",
        plain.split("\n")[1].upper(),
        "trop de connexions\r\n  pour le rôle « app »",
    ):
        assert titles(answer(wrapped, runbooks())) == [FULL], wrapped


def test_a_server_that_sends_question_marks_is_known_by_how_many() -> None:
    assert titles(answer("psql: error: FATAL:  ???????????????", runbooks()))[:1] == [FULL]  # as in Japanese
    assert not answer("what ?????????????????????????????? is this", runbooks()).fits


def test_several_causes_with_the_same_words_are_told_apart() -> None:
    found = answer("ERROR: query_wait_timeout", runbooks()).fits
    assert [(one.runbook, one.found.cause.pool if one.found else "") for one in found] == [
        (FULL, "pooler"),
        (DOWN, "pooler"),
    ]
    assert all(one.found and "SHOW POOLS" in one.found.cause.apart for one in found)
    connecting = answer("connection to server at x, port 6432 failed: FATAL:  query_wait_timeout", runbooks())
    assert titles(connecting) == [DOWN, FULL]


def test_an_alert_that_fires_decides_between_two_and_makes_none() -> None:
    assert titles(answer("query_wait_timeout", runbooks(), {DOWN: "no answer for 3 min"})) == [DOWN, FULL]
    unknown = answer("nothing that is known", runbooks(), {DOWN: "no answer for 3 min"})
    assert not unknown.fits
    assert unknown.firing == {DOWN: "no answer for 3 min"}


def test_the_manual_comes_first() -> None:
    own = Runbook(
        "Orders twice",
        ('`violates unique constraint "orders_key"` at night',),
        ('violates unique constraint "orders_key"',),
    )
    assert titles(answer('duplicate key value violates unique constraint "orders_key"', [own])) == ["Orders twice"]
    assert titles(answer("payments are failing", runbooks())) == ["All payments failing"]
    assert (
        titles(answer("some payments came back, every payment comes back as FAILED", runbooks()))[0]
        == "All payments failing"
    )


def test_a_manual_without_the_runbook_gets_the_cause() -> None:
    every = [Runbook(one.title, one.symptoms, one.quoted) for one in load(PLAIN_MANUAL).runbooks]
    plain = [one for one in every if one.title != "Schema migration failed"]
    (found,) = answer("Error: P3009", plain).fits
    assert (found.runbook, found.found and found.found.cause.name) == ("", "migration stopped")
    damaged = answer("ERROR:  invalid page in block 3 of relation base/1/2", plain).fits
    assert damaged[0].runbook == "Data corruption or deletion"


def test_unknown_is_unknown() -> None:
    for text in ("hello", "502 Bad Gateway", "?" * 50, "\0", "\ud800", "a" * 5000):
        found = answer(text, runbooks())
        assert not found.fits, text
        assert not found.refused, text


HOSTILE = {
    "one line": "a" * LONGEST,
    "question marks": "?" * LONGEST,
    "empty lines": "\n" * LONGEST,
    "frames": "    at x (y:1)\n" * (LONGEST // 15),
    "beginnings": 'could not extend file "' * (LONGEST // 23),
    "names": "Aa" * (LONGEST // 2),
    "tags": "</" + "<a" * (LONGEST // 2),
    "mojibake": "Ã" * LONGEST,
    "spaces": ("( " + " " * 1990 + "\n") * (LONGEST // 2000),
    "states": "ERROR 57014 " * (LONGEST // 12),
    "a log": "2026-11-28 06:10:38 UTC [1] LOG:  archive command failed with exit code 1\n" * (LONGEST // 74),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_is_read_in_a_second_whatever_it_is(name: str) -> None:
    table()
    started = time.process_time()
    answer(HOSTILE[name], runbooks())
    assert time.process_time() - started < 5  # on a loaded machine; here it is half a second


def test_of_a_longer_text_both_ends_are_read() -> None:
    for text in ("deadlock detected\n" + "x " * LONGEST, "x " * LONGEST + "\ndeadlock detected"):
        assert "deadlock detected" in read(text).words


def test_the_table_is_whole() -> None:
    shipped = {one.title for path in (PROFILE_MANUAL, PLAIN_MANUAL) for one in load(path).runbooks}
    for cause in causes().values():
        assert cause.says.endswith("."), cause.name
        assert cause.apart.endswith("."), cause.name
        assert set(cause.runbooks) <= shipped, cause.name
    for sign in table():
        assert sign.patterns or sign.codes or sign.states or sign.classes or sign.routines or sign.tags
        assert all(part == part.lower() for one in sign.patterns for part in one.parts)
    assert len(set(originals())) > 150
