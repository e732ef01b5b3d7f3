"""Each command of `audit` and `user` once, as one types it, on servers and databases that are unlike the usual one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.audit.acting import acting_as
from tabsync.audit.claims_key import write_key
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema
from tests.audited import install_profile
from tests.conftest import _NO_LIMIT, missing, run_sql
from tests.pooler import PROGRAM, pgbouncer
from tests.postgres.cli.program import Done, tabsync
from tests.postgres.users.test_promote import PASSWORD, user
from tests.presets import preset, worst_presets
from tests.servers import running_server, running_server_of, standby_of
from tests.sessions import connect
from tests.vanish import until
from tests.whole import MAJORS, WHOLE, whole

_EVA, _ANA, _REG = "eva@example.com", "ana@example.com", "reg@example.com"
_NEW = f"insert into public.users (email, full_name, role) values ('{_ANA}', 'Ana', 'CUSTOMER')"
_KEY = f"select id::text from users where email = '{_REG}'"


@dataclass
class Walk:
    """A person who types all commands, and reads what they say."""

    directory: Path
    conninfo: str

    def audit(self, *words: str, code: int = 0) -> Done:
        """`tabsync audit ...`, which must end so."""
        (self.directory / "tabsync.toml").touch()
        return self._ended(tabsync(self.directory, "audit", *words, TABSYNC_DATABASE=self.conninfo), words, code)

    def user(self, *words: str, password: str = "", code: int = 0) -> Done:
        """`tabsync user ...`, which must end so."""
        return self._ended(user(self.directory, self.conninfo, *words, password=password), words, code)

    def _ended(self, done: Done, words: tuple[str, ...], code: int) -> Done:
        assert done.code == code, (words, done.out, done.err)
        assert code == 0 or "hint: " in done.err, (words, done.err)
        return done

    def sql(self, statement: str) -> Any:
        with connect(self.conninfo, "tests", limits=_NO_LIMIT) as session:
            found = session.execute(statement.encode())
            row = found.fetchone() if found.description else None
        return row[0] if row else None

    def all(self) -> None:
        """Every command, from the install to the removal."""
        self.audit("install", "--claims-key", str(self.directory / "claims.key"))
        assert "IN ORDER" in self.audit("status").out
        self.users()
        listed = self.audit("list", "--table", "users", "--json").json["entries"]
        assert {one["action"] for one in listed} >= {"INSERT", "UPDATE", "ROLE_CHANGE"}
        self.audit("show", str(listed[0]["id"]))
        self.audit("seal")
        self.audit("export", str(self.directory / "log.jsonl"), "--since", "1 hour ago")
        self.audit("verify")
        key = self.sql(f"select id::text from users where email = '{_ANA}'")
        self.audit("erase", key, "--reason", "by request", "--yes")
        self.audit("seal")
        assert "1 month" not in self.audit("verify").out
        self.sql("alter table staff disable trigger tabsync_audit_insert")
        assert "tabsync_audit_insert on public.staff is disabled" in self.audit("status", code=1).out
        self.audit("repair")
        self.audit("status")
        self.audit("archive", "--yes")
        self.audit("archive", "--hold", "a case")
        self.audit("archive", "--release")
        self.audit("remove", "--yes")

    def users(self) -> None:
        """Every command of `user`."""
        self.user("create-super-admin", _EVA, "--full-name", "Eva", password=PASSWORD)
        self.sql(_NEW)
        self.user("promote", _ANA, "--to", "WAITER", "--by", _EVA, "--reason", "a test", password=PASSWORD)
        glass = ("--break-glass", "Eva", "--reason", "a test")
        self.user("demote", _ANA, "--to", "CUSTOMER", *glass)
        self.user("disable", _ANA, *glass)
        self.user("disable", _ANA, "--enable", *glass)
        assert _ANA in self.user("list").out
        assert "CUSTOMER" in self.user("show", _ANA).out
        self.user("promote", _EVA, "--to", "SUPER_ADMIN", *glass, code=4)


@pytest.fixture(scope="module")
def german() -> Iterator[embedded.Server]:
    """A server of Debian's PostgreSQL 15 with a database of the profile, whose messages are German."""
    found = [one for one in installations() if one.major == 15 and one.has_server]
    if not found or b"de_DE.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=True).stdout:
        missing("PostgreSQL 15, or the locale de_DE.UTF-8")
    with running_server_of(found[0], "german", {"lc_messages": "de_DE.UTF-8"}) as server:
        run_sql(server.conninfo(), "create database {}", "speisen")
        with connect(server.conninfo("speisen"), "tests", limits=_NO_LIMIT) as session:
            apply_schema(session)
            generate(session, orders=30)
        yield server


def test_a_server_that_speaks_german_with_the_worst_presets(german: embedded.Server, directory: Path) -> None:
    """Together, as either has a test of its own when the whole is run."""
    run_sql(german.conninfo(), "create database {} template speisen", "laden")
    conninfo = german.conninfo("laden")
    worst(conninfo)
    Walk(directory, conninfo).all()


@whole
def test_a_server_that_speaks_german(german: embedded.Server, directory: Path) -> None:
    run_sql(german.conninfo(), "create database {} template speisen", "lokal")
    Walk(directory, german.conninfo("lokal")).all()


@whole
@pytest.mark.parametrize("major", MAJORS)
def test_the_worst_presets(tabsync_database: Callable[[int], str], directory: Path, major: int) -> None:
    conninfo = tabsync_database(major)
    worst(conninfo)
    Walk(directory, conninfo).all()


def worst(conninfo: str) -> None:
    """Whoever comes to the database has them."""
    with connect(conninfo, "tests") as session:
        values = worst_presets(session) | {"lc_messages": "de_DE.UTF-8"}
        preset(session, session.info.dbname, values if session.info.server_version < 160000 else worst_presets(session))


_INHERITED = f"""
create table regulars () inherits (users);
insert into regulars (email, full_name, role) values ('{_REG}', 'Reg', 'CUSTOMER')
"""
_PARTITIONED = f"""
do $$
declare
  v_key record; v_keys text[] := '{{}}';
begin
  for v_key in select conrelid::regclass as of, conname, pg_get_constraintdef(oid) as def
                 from pg_constraint where confrelid = 'users'::regclass and conparentid = 0 loop
    execute format('alter table %s drop constraint %I', v_key.of, v_key.conname);
    v_keys := v_keys || format('alter table %s add constraint %I %s', v_key.of, v_key.conname, v_key.def);
  end loop;
  alter table users rename to old_users;
  create table users (like old_users including defaults) partition by hash (id);
  create table users_0 partition of users for values with (modulus 2, remainder 0);
  create table users_1 partition of users for values with (modulus 2, remainder 1);
  alter table users add primary key (id);
  create index on users (email);
  insert into users select * from old_users;
  drop table old_users cascade;
  for n in 1 .. coalesce(cardinality(v_keys), 0) loop execute v_keys[n]; end loop;
end $$;
insert into users (email, full_name, role) values ('{_REG}', 'Reg', 'CUSTOMER')
"""


@pytest.mark.parametrize("before", [_INHERITED, _PARTITIONED], ids=["inherited", "partitioned"])
def test_the_table_of_users_is_of_an_odd_kind(
    tabsync_database: Callable[..., str], directory: Path, before: str
) -> None:
    walk = Walk(directory, tabsync_database())
    walk.sql(before)
    if WHOLE:
        walk.all()
        return
    said = walk.audit("install")
    text = " ".join((said.out + said.err).split())
    for told in ("regulars inherits from public.users", "directly changes roles there unguarded"):
        assert (told in text) == (before == _INHERITED)
    walk.user("promote", _REG, "--to", "WAITER", "--break-glass", "Eva", "--reason", "a test")
    assert _REG in walk.user("list").out
    assert "WAITER" in walk.user("show", _REG).out
    walk.sql(f"update users set full_name = 'Regina' where email = '{_REG}'")
    listed = walk.audit("list", "--table", "users", "--key", walk.sql(_KEY), "--json").json["entries"]
    assert [one["action"] for one in listed] == ["UPDATE", "ROLE_CHANGE", "UPDATE"]
    walk.audit("status")


def test_a_standby(directory: Path) -> None:
    settings = {"wal_level": "replica", "max_wal_senders": "5", "max_replication_slots": "5"}
    with running_server("audited", **settings) as primary:
        with connect(primary.conninfo(), "tests", limits=_NO_LIMIT) as session:
            apply_schema(session)
            generate(session, orders=30)
        install_profile(primary.conninfo())
        walk = Walk(directory, primary.conninfo())
        walk.sql(_NEW)
        walk.audit("seal")
        with standby_of(primary, "audited_standby") as standby:
            here = Walk(directory, standby.conninfo())
            both = "select count(*) from audit_logs"
            until(lambda: here.sql(both) == walk.sql(both), 60)
            assert "IN ORDER" in here.audit("status").out
            (entry, *_) = here.audit("list", "--table", "users", "--json").json["entries"]
            here.audit("show", str(entry["id"]))
            here.audit("verify")
            here.audit("export", str(directory / "log.jsonl"))
            assert _ANA in here.user("list").out
            here.user("show", _ANA)
            glass = ("--break-glass", "Eva", "--reason", "a test")
            refused = [
                here.user("promote", _ANA, "--to", "WAITER", *glass, code=4),
                here.user("create-super-admin", "o@example.com", "--full-name", "O", password=PASSWORD, code=4),
                here.user("disable", _ANA, *glass, code=4),
                *(here.audit(word, code=4) for word in ("install", "repair", "seal")),
                here.audit("remove", "--yes", code=4),
                here.audit("archive", "--yes", code=4),
                here.audit("erase", entry["key"], "--reason", "a test", "--yes", code=4),
            ]
            assert all("standby" in one.err for one in refused), [one.err for one in refused]


def test_who_acts_is_known_through_a_pooler_that_keeps_transactions_only(
    audited_database: Callable[..., str], directory: Path
) -> None:
    """Sessions of the server are shared by turns: what one transaction said, the next one in it must not have."""
    if not Path(PROGRAM).exists():
        missing("pgbouncer")
    conninfo, key = audited_database(), b"k" * 32
    with connect(conninfo, "tests") as session:
        write_key(session, key)
    with pgbouncer(directory, conninfo, "transaction") as through, ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(through, prepare_threshold=None)) for _ in range(4)]
        for number in range(40):
            client = clients[number % 4]
            statement = f"insert into users (email, full_name, role) values ('{number}@example.com', %s, 'CUSTOMER')"
            who = ("nobody", f"plain {number}", f"signed {number}")[number % 3]
            if who != "nobody":
                with acting_as(client, who, key=key if who.startswith("signed") else None):
                    client.execute(statement.encode(), [who])
            else:
                client.execute(statement.encode(), [who])
                client.commit()
    with psycopg.connect(conninfo) as session:
        found = session.execute(
            "select new_value ->> 'full_name', coalesce(actor, ''), coalesce(actor_how, '') from audit_logs"
            " where table_name = 'public.users' and action = 'INSERT' and xid is not null order by id"
        ).fetchall()
    assert found == [(who, *(("", "") if who == "nobody" else (who, who.partition(" ")[0]))) for who, _, _ in found]
    assert len(found) == 40
