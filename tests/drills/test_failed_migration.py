"""The runbook "Schema migration failed", gone through with the real Prisma: noted, undone, or restored beside."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.demo.place import DATABASE
from tabsync.gamedays.deploying import Tool, url_of
from tabsync.gamedays.failed_migration import NOTED, RESTORED, UNDONE, Story, play
from tabsync.gamedays.ground import Ground, ground
from tests.postgres.deployments.site import Site, manual, site
from tests.prisma import Prisma
from tests.whole import whole

_MODELS = "model plate {\n  id Int @id\n  name String?\n}\n"
_FIRST = "create table plate (id int primary key, name text);\ninsert into plate values (1, 'soup'), (2, 'fish');\n"
_BEFORE = "alter table plate add column size int;\ncreate index plate_size on plate (size);\n"
_AFTER = "alter table plate add column heat int;\nalter table plate add column colour text;\n"
_FAILS = "alter table plate add constraint odd check (id / (id - id) = 1);\n"
_BASE = "20260201000000_base"  # the schema was there before Prisma was
TICK = "how-to-undo-the-migration-is-written"


class Shop:
    """A project of Prisma that has deployed its first migration under guard."""

    def __init__(self, directory: Path, conninfo: str) -> None:
        url = "postgresql://postgres@127.0.0.1:1/unused"  # this project's adapter has its database in a file
        self.site: Site = site(directory, conninfo, url)
        config = directory / "tabsync.toml"
        config.write_text(config.read_text() + '[migrations]\nfolder = "migrations"\n')
        (self.site.folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
        self.prisma = Prisma(directory, conninfo, _MODELS)
        self.migration("1_first", _FIRST)
        assert self.guard() == 0

    def gate(self) -> None:
        """From here on the manual asks for a backup, its proof, and a person's word before each migration."""
        self.site.manual.write_text(manual(gate=True))
        self.says("schedule", "done", TICK, "--note", "as written there")

    def migration(self, name: str, text: str) -> None:
        (self.site.folder / name).mkdir(exist_ok=True)
        (self.site.folder / name / "migration.sql").write_text(text)

    def guard(self) -> int:
        """Deploy, with what the application's environment has."""
        words = ("migration", "guard", "--", *self.prisma.command("deploy"))
        code, self.out, self.err = self.site.tabsync(*words, **self.prisma.environment())
        return code

    def says(self, *words: str, code: int = 0) -> str:
        """Run tabsync, and give what it prints."""
        ended, out, err = self.site.tabsync(*words)
        assert ended == code, f"{words}: {ended}\n{out}{err}"
        return out + err

    def content(self) -> None:
        """Prisma itself is content: its status, and another deployment."""
        code, printed = self.prisma.migrate("status")
        assert (code, "up to date" in printed) == (0, True), printed
        code, printed = self.prisma.migrate("deploy")
        assert (code, "No pending migrations" in printed) == (0, True), printed


@pytest.fixture
def shop(databases: Callable[..., str], directory: Path) -> Shop:
    return Shop(directory, databases())


def columns(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as session:
        rows = session.execute("select attname from pg_attribute where attrelid = 'plate'::regclass and attnum > 0")
        return [row[0] for row in rows if not row[0].startswith("...")]


def test_what_left_nothing_is_noted_as_rolled_back(shop: Shop) -> None:
    shop.migration("2_broken", f"begin;\n{_BEFORE}{_FAILS}{_AFTER}commit;\n")
    assert shop.guard() == 1, shop.out + shop.err
    assert "2_broken has failed" in shop.err
    assert shop.guard() == 4  # run no other
    assert "nothing of it is there" in shop.says("migration", "status", code=1)
    shop.says("migration", "resolve", "2_broken", "--rolled-back")
    shop.migration("2_broken", f"begin;\n{_BEFORE}{_AFTER}commit;\n")
    assert shop.guard() == 0, shop.out + shop.err
    shop.content()


def test_the_half_that_was_left_is_undone(shop: Shop) -> None:
    before = columns(shop.site.conninfo)
    shop.migration("2_broken", f"{_BEFORE}{_FAILS}{_AFTER}")
    assert shop.guard() == 1, shop.out + shop.err
    assert "2 of 5 statements are there" in shop.says("migration", "status", code=1)
    assert "can't be noted as rolled back" in shop.says("migration", "resolve", "2_broken", "--rolled-back", code=4)
    assert "UNDONE" in shop.says("migration", "undo", "2_broken", "--yes")
    assert columns(shop.site.conninfo) == before
    shop.says("migration", "resolve", "2_broken", "--rolled-back")
    shop.migration("2_broken", _BEFORE + _AFTER)
    assert shop.guard() == 0, shop.out + shop.err
    shop.content()


def test_what_cant_be_undone_is_restored_beside_and_rows_are_brought_over(shop: Shop) -> None:
    shop.gate()
    shop.migration("2_broken", f"alter table plate drop column name;\n{_BEFORE}{_FAILS}{_AFTER}")
    assert shop.guard() == 1, shop.out + shop.err
    assert "line 1" in (said := shop.says("migration", "undo", "2_broken", "--yes", code=4)), said
    with psycopg.connect(shop.site.conninfo, autocommit=True) as session:
        session.execute("insert into plate (id, size) values (3, 7)")  # people go on ordering
    name = str(conninfo_to_dict(shop.site.conninfo)["dbname"])
    backups = json.loads(shop.says("backup", "list", "--json"))["backups"]
    newest = max(backups, key=lambda one: one["id"])
    new = f"{name}_beside"
    try:
        shop.says("restore", "new", "--from", newest["id"], "--as", new)
        told = shop.says("restore", "diff", new, name, code=1)
        assert re.search(r"plate\s+.*1", told), told
        beside = make_conninfo(shop.site.conninfo, dbname=new)
        with psycopg.connect(beside, autocommit=True) as session:
            assert session.execute("select count(*) from plate where name is not null").fetchone() == (2,)
        shop.says(
            "restore", "rows", "--table", "plate", "--where", "id = 3", "--from", name, "--database", beside, "--yes"
        )
        with psycopg.connect(beside) as session:
            assert session.execute("select id, name from plate order by id").fetchall() == [
                (1, "soup"),
                (2, "fish"),
                (3, None),
            ]
    finally:
        with psycopg.connect(make_conninfo(shop.site.conninfo, dbname="postgres"), autocommit=True) as session:
            session.execute(f'drop database if exists "{new}" with (force)')


def prisma_of(there: Ground) -> Tool:
    """The real Prisma on a game day's ground, with the database that its environment names."""
    home = there.config.parent
    project = Prisma(home, there.own().tcp_conninfo(DATABASE), _MODELS)
    config = home / "prisma.config.ts"
    named = "{ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true }"
    config.write_text(re.sub(r"PrismaPg\(\{.*?\}\)", f"PrismaPg({named})", config.read_text()))
    (home / "migrations").mkdir()
    (home / "migrations" / "migration_lock.toml").write_text('provider = "postgresql"\n')
    (home / "migrations" / _BASE).mkdir()
    (home / "migrations" / _BASE / "migration.sql").write_text("select 1;\n")
    environment = {name: value for name, value in project.environment().items() if name != "DATABASE_URL"}
    done = subprocess.run(
        project.command("resolve", "--applied", _BASE),
        cwd=home,
        env=environment | {"DATABASE_URL": url_of(there, DATABASE)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Tool("Prisma", tuple(project.command("deploy")), environment, "is violated by some row")


@whole
@pytest.mark.parametrize("story", [NOTED, UNDONE, RESTORED], ids=["noted", "undone", "restored"])
def test_the_game_day_with_the_real_prisma(story: Story, directory: Path) -> None:
    with ground(directory, str, lambda _: None, watched=False) as there:
        played = play(story, there, lambda _: None, prisma_of)
    assert played.wrong == []
    assert played.recover is not None
