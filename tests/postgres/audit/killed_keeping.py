"""The same of what moves entries: `audit archive` to a store, and `audit repair` that empties the default partition."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import psycopg
import zstandard

from tabsync.audit.database.months import first_of
from tabsync.kernel import clock
from tests.postgres.audit.killed import Site

_MANY = """
insert into audit_logs (action, entity_type, entity_id, new_value, created_at)
select 'OLD', 'Order', n::text, jsonb_build_object('n', n), now() - n * interval '400 days' / {many}
  from generate_series(1, {many}) n
"""
_WHOLE = "select id, md5(t::text) from {} t"
_AGE = """
alter table audit_logs detach partition {part};
alter table {part} disable trigger user;
update {part} set created_at = created_at - interval '3 years';
alter table {part} enable always trigger tabsync_audit_keep;
alter table {part} enable always trigger tabsync_audit_kept_update;
alter table {part} enable always trigger tabsync_audit_kept_delete;
alter table audit_logs attach partition {part} for values from (minvalue) to ('{until}')
"""
_MONTH = """
create table {part} (like audit_logs including all);
insert into {part} (action, entity_type, entity_id, created_at)
select 'MONTH', 'Order', n::text, '{since}'::timestamptz + n * interval '1 second' from generate_series(1, {rows}) n;
alter table audit_logs attach partition {part} for values from ('{since}') to ('{until}')
"""
_UNSEEN = """
insert into audit_logs (action, entity_type, entity_id, created_at)
select 'UNSEEN', 'Order', n::text, now() - (n %% 3) * interval '30 days' from generate_series(1, %s) n
"""


def many_entries(conninfo: str, many: int) -> None:
    """A log of before the install, of the last 400 days."""
    with psycopg.connect(conninfo, autocommit=True) as session:
        session.execute(_MANY.format(many=many).encode())


def aged(site: Site, draw: random.Random, months: int, rows: int) -> None:
    """Make all that the log has three years older, and give it months of their own that are as old.

    The log is installed, nothing is sealed yet; afterwards the current month has no partition. rows: of a month, at
    most.
    """
    with psycopg.connect(site.conninfo, autocommit=True) as session:
        name = "select relname from pg_class where relname like 'audit_logs_until%' and relkind = 'r'"
        part = (session.execute(name.encode()).fetchone() or ("",))[0]
        first = first_of(clock.now(), -35)
        session.execute(_AGE.format(part=part, until=first.isoformat()).encode())
        for later in range(months):
            since, until = first_of(first, later), first_of(first, later + 1)
            given = {"part": f"audit_logs_{since:%Y_%m}", "since": since.isoformat(), "until": until.isoformat()}
            session.execute(_MONTH.format(rows=draw.randint(rows // 10, rows), **given).encode())


def emptied_under_kills(site: Site, draw: random.Random, kills: int, rows: int, longest: float) -> list[str]:
    """Give partitions to what the default partition has caught since the log was aged(); gives what is wrong then."""
    with psycopg.connect(site.conninfo, autocommit=True) as session:
        session.execute(_UNSEEN, [rows])
    before, since = _entries(site), len(site.notes)
    with site.application():
        site.until_done("audit", "repair", kills=kills, draw=draw, longest=longest)
        site.run("audit", "repair")  # what came in while the last entries were moved
    wrong = _wrong(site, before, since)
    with psycopg.connect(site.conninfo) as session:
        left = session.execute("select count(*) from only audit_logs_default").fetchone()
    wrong += [f"the default partition has {left} entries"] if left != (0,) else []
    return wrong + site.errors


def archived_under_kills(site: Site, draw: random.Random, kills: int, longest: float) -> list[str]:
    """Archive what is old enough; gives what is wrong in the end: each entry is in the store or in the database."""
    before, since = _entries(site), len(site.notes)
    with site.application():
        site.until_done("audit", "archive", "--yes", kills=kills, draw=draw, longest=longest)
    return _wrong(site, before, since) + site.errors


def _wrong(site: Site, before: dict[int, str], since: int) -> list[str]:
    """What is wrong when a command has ended by itself.

    before: the entries that there were; since: how many of them were the application's.
    """
    stored, wrong = dict[int, str](), []
    for many in _stored(site):
        wrong += ["an entry is in the store twice"] if stored.keys() & many.keys() else []
        stored |= many
    here = _entries(site)
    if stored.keys() & here.keys():
        wrong.append(f"{len(stored.keys() & here.keys())} entries are in the store and in the database")
    both = stored | here
    if lost := {number for number, entry in before.items() if both.get(number) != entry}:
        wrong.append(f"{len(lost)} entries are lost, or not what they were: {sorted(lost)[:5]}")
    if len(here) != site.count():
        wrong.append("an entry is there twice")
    if site.wrong_notes(since) != (0, 0):
        wrong.append(f"entries of the application lost, and there twice: {site.wrong_notes(since)}")
    if left := [str(one) for one in (site.directory / "home" / "staging").glob("*")]:
        wrong.append(f"left in the home: {left}")
    for command in ("seal", "verify", "status"):
        if site.run("audit", command) != 0:
            wrong.append(f"audit {command} is not in order")
    return wrong + [f"{one} is left" for one in site.left()]


def _entries(site: Site) -> dict[int, str]:
    with psycopg.connect(site.conninfo) as session:
        return dict(session.execute(_WHOLE.format("audit_logs").encode()).fetchall())


def _stored(site: Site) -> Iterator[dict[int, str]]:
    """The entries of each month in the store, as PostgreSQL reads them again."""
    directory = site.directory / "store"
    with psycopg.connect(site.conninfo) as session:
        row = session.execute("select to_regclass('tabsync_audit.archives') is not null").fetchone()
        found = session.execute("select name, rows from tabsync_audit.archives").fetchall() if row == (True,) else []
        for name, rows in found:
            manifest = json.loads((directory / f"{name}.json").read_text())
            session.execute("create temp table stored (like audit_logs)")
            text = zstandard.ZstdDecompressor().stream_reader((directory / f"{name}.copy.zst").read_bytes()).read()
            columns = ", ".join(manifest["columns"])
            with session.cursor().copy(f"copy stored ({columns}) from stdin".encode()) as copying:
                copying.write(text)
            entries: dict[int, str] = dict(session.execute(_WHOLE.format("stored").encode()).fetchall())
            assert len(entries) == rows
            session.execute("drop table stored")
            yield entries
