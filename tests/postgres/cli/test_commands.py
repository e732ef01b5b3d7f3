"""The commands as a person runs them: help with an example, exit codes that mean something, JSON that is JSON."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.profiles.tabsync import PROFILE_MANUAL
from tests.conftest import Databases, run_sql
from tests.postgres.cli.program import TABSYNC, environment, tabsync

OTHERS = {"serve", "operator"}


def commands(node: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group of the program, as words."""
    from tabsync.cli.tree import program

    node = node or program()
    yield words
    if isinstance(node, click.Group):
        context = click.Context(node)
        for name in node.list_commands(context):
            if name not in OTHERS:
                yield from commands(node.get_command(context, name), (*words, name))


@pytest.fixture
def shop(tabsync_database: Callable[..., str], directory: Path) -> Path:
    """A directory with a tabsync.toml for a TabSync database."""
    conninfo = tabsync_database().replace("\\", "\\\\").replace('"', '\\"')
    (directory / "tabsync.toml").write_text(f'database = "{conninfo}"\nmanual = "{PROFILE_MANUAL}"\n')
    return directory


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...], directory: Path) -> None:
    done = tabsync(directory, *words, "--help", TABSYNC_PROFILE="tabsync")
    assert done.code == 0
    is_group = words in {(), ("backup",), ("backup", "take"), ("manual",), ("run",)}
    assert is_group or "Example" in done.out
    assert "\x1b" not in done.out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tabsync.cli.tree import program\n"
        "try:\n    program()(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'psycopg', 'sqlalchemy', 'pydantic', 'fastapi', 'obstore', 'alembic', 'jinja2', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stderr.strip() == "[]"


_PROCEDURES = {
    "tabsync.backups.take",
    "tabsync.copies.restores.pg_restore",
    "tabsync.backups.restore.staging",
    "tabsync.postgres.embedded",
}


@pytest.mark.parametrize("words", [["health"], ["run", "list"], ["backup", "list"], ["status"]], ids=" ".join)
def test_what_only_looks_imports_only_that(words: list[str], shop: Path) -> None:
    tabsync(shop, "status")  # makes the ledger
    tabsync(shop, "health")  # keeps what is to be known of this database when it is gone, which is only written anew
    code = (
        "import sys\nfrom tabsync.cli.tree import program\n"
        f"try:\n    program()({words})\nexcept SystemExit:\n    pass\n"
        f"heavy = {{'sqlalchemy', 'alembic', 'fastapi', 'obstore', 'jinja2', 'psutil'}} | {_PROCEDURES}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=shop, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip().splitlines()[-1] == "[]", done.stderr


def test_what_plans_imports_no_parser_of_sql() -> None:
    """It takes a third of a second, and most of what is refused is refused before the manual's SQL is looked at."""
    plan = ("deployments.guard", "deployments.rehearse", "migrations.show_status", "backups.restore.diff.plan")
    code = (
        f"import importlib, sys\nfor one in {plan}:\n    importlib.import_module('tabsync.' + one)\n"
        "heavy = {'sqlglot', 'sqlalchemy', 'alembic', 'fastapi', 'obstore', 'jinja2', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


USELESS = "host=127.0.0.1 port=1 dbname=x user=x"


@pytest.mark.parametrize(
    ("words", "code", "fact"),
    [
        (("nonsense",), 2, "nonsense"),
        (("backup", "show"), 2, "there is no backup"),
        (("backup", "show", "../../etc/passwd"), 2, "not a backup's id"),
        (("run", "show", "20990101T000000Z-abcdef"), 2, "there is no run"),
        (("run", "list", "--limit", "0"), 2, "limit"),
        (("--config", "x"), 2, "config"),
        (("health", "--config", "nowhere.toml"), 2, "there is no file"),
        (("health", "--database", "postgresql://u:canary@h:p%zz/db"), 2, "not a connection string"),
        (("manual", "check", "nowhere.md"), 2, "can't read"),
        (("health", "--database", USELESS), 3, "Connection refused"),
        (("status", "--database", USELESS), 3, "DOWN"),
        (("backup", "take", "full", "--database", USELESS), 3, "can't connect"),
        (("init", USELESS, "--directory", "nowhere"), 4, "not a directory"),
        (("drill", "--backup", "latest", "--database", USELESS), 2, "no full backup"),
        (("drill", "--database", USELESS), 3, "without the server: tabsync drill --backup latest"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_exit_codes(words: tuple[str, ...], code: int, fact: str, directory: Path) -> None:
    done = tabsync(directory, *words, PGDATABASE="x", PGHOST="127.0.0.1", PGPORT="1")
    assert (done.code, fact in done.out + done.err) == (code, True), done.out + done.err
    assert "canary" not in done.out + done.err
    if words[0] not in ("health", "status", "nonsense") and "--limit" not in words and "--config" not in words:
        assert done.err.startswith("error: ")
        assert "hint: " in done.err


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"password": "canary-wrong"}, "password authentication failed"),
        ({"dbname": "nothing_here"}, "does not exist"),
        ({"sslmode": "require", "host": "127.0.0.1"}, "does not support SSL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_no_connection_is_exit_3_with_a_hint(
    change: dict[str, str], fact: str, databases: Databases, directory: Path
) -> None:
    done = tabsync(directory, "backup", "take", "full", "--database", make_conninfo(databases(), **change))
    assert done.code == 3
    assert fact in done.err
    assert "hint: " in done.err
    assert len(done.err.strip().splitlines()) == 2
    assert "canary" not in done.err


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("datbase = 'x'", "'datbase' is not a setting"),
        ("jobs = 'two'", "jobs must be of type int"),
        ("jobs = 0", "jobs"),
        ("jobs = true", "jobs"),
        ("database = [", "tabsync.toml"),
        ("database = 'postgresql://u:canary@h:p%zz/d'", "not a connection string"),
    ],
)
def test_a_mistake_in_the_wiring_is_told(text: str, fact: str, directory: Path) -> None:
    (directory / "tabsync.toml").write_text(text + "\n")
    done = tabsync(directory, "backup", "take", "full")
    assert done.code in (2, 4), done.err
    assert fact in done.err
    assert "hint: " in done.err
    assert "canary" not in done.err


def test_a_ledger_that_is_none(directory: Path) -> None:
    (directory / "tabsync.toml").write_text("ledger = 'nonsense-canary'\n")
    done = tabsync(directory, "run", "list")
    assert (done.code, "can't open the ledger" in done.err, "canary" in done.err) == (4, True, False)


def test_a_value_of_the_wrong_type_is_not_repeated(directory: Path) -> None:
    (directory / "tabsync.toml").write_text("database = ['postgresql://u:canary@h/d']\n")
    done = tabsync(directory, "run", "list")
    assert (done.code, "canary" in done.err + done.out) == (2, False)


def test_bytes_that_are_no_text_in_the_wiring(directory: Path) -> None:
    (directory / "tabsync.toml").write_bytes(b"database = '\xff'\n")
    assert tabsync(directory, "health").code == 2


def test_a_directory_where_the_wiring_should_be(directory: Path) -> None:
    assert tabsync(directory, "health", "--config", directory).code == 2


def test_a_store_that_is_a_file(shop: Path) -> None:
    (shop / "store").write_text("a file")
    done = tabsync(shop, "backup", "take", "full", "--store", "store")
    assert done.code == 4
    assert "can't write to the store" in done.err
    assert "--store" in done.err
    assert (shop / "store").read_text() == "a file"


def test_a_manual_with_mistakes(shop: Path) -> None:
    (shop / "manual.md").write_text("# Nothing\n")
    config = (shop / "tabsync.toml").read_text()
    (shop / "tabsync.toml").write_text(config.replace(str(PROFILE_MANUAL), "manual.md"))
    done = tabsync(shop, "manual", "check")
    assert done.code == 1
    assert "manual.md:" in done.out
    for command in ("drill", "status"):
        done = tabsync(shop, command)
        assert (done.code, "tabsync manual check" in done.err) == (1, True)


def test_a_damaged_ledger_is_told(shop: Path) -> None:
    (shop / ".tabsync").mkdir()
    (shop / ".tabsync" / "ledger.sqlite").write_bytes(b"this is no database" * 100)
    for words in (("run", "list"), ("backup", "take", "full")):
        done = tabsync(shop, *words)
        assert (done.code, "can't open the ledger" in done.err) == (4, True), done.err
    # The page at 3 in the morning doesn't depend on it.
    done = tabsync(shop, "status")
    assert done.code == 1
    assert "runs, backups and drills" in done.out


def test_the_whole_way_in_words_and_in_json(shop: Path) -> None:
    taken = tabsync(shop, "backup", "take", "full", "--json", "--reason", "[/red] odd [bold]")
    assert (taken.code, taken.json["version"], taken.json["kind"]) == (0, 1, "backup")
    assert taken.err.startswith("note: the manual requires a copy in Azure Blob Storage")  # and there is none here
    backup = taken.json["id"]
    drill = tabsync(shop, "drill", "--backup", "latest", "--json")
    assert (drill.code, drill.json["version"], drill.json["kind"]) == (0, 1, "drill")
    assert drill.json["verdict"]["ok"] is True
    expected = {
        ("backup", "list"): "backups",
        ("backup", "show", backup): "backup",
        ("run", "list"): "runs",
        ("run", "show", drill.json["run"]): "run",
        ("health",): "health",
        ("status",): "status",
        ("manual", "check"): "manual check",
        ("manual", "show"): "manual",
        ("backup", "take", "full", "--dry-run"): "plan",
        ("drill", "--dry-run"): "plan",
    }
    for words, kind in expected.items():
        done = tabsync(shop, *words, "--json")
        assert (done.json["version"], done.json["kind"]) == (1, kind), words
        assert done.code in ((0, 1, 6) if words == ("status",) else (0,)), (words, done.err)
    printed = {}
    for words in (*list(expected)[:6], ("drill", "--dry-run")):
        told = printed[words[:2]] = tabsync(shop, *words, NO_COLOR="1", TERM="xterm-256color")
        assert "\x1b" not in told.out + told.err
        # What a plan would run stands there unbroken, to be copied, and is indented.
        assert max(len(line) for line in told.out.splitlines() if not line.startswith("    ")) <= 100, told.out
    listed = printed["backup", "list"].out
    assert backup in listed
    assert "proven" in listed
    assert "[/red] odd [bold]" in " ".join(listed.split())


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "show", "nothing"),
        ("drill", "--database", USELESS),
        ("init", USELESS),
        ("manual", "check", "nowhere.md"),
        ("health", "--nonsense"),
        ("nonsense",),
        ("backup", "show", "one", "too", "many"),
    ],
    ids=" ".join,
)
def test_errors_are_json_too(words: tuple[str, ...], directory: Path) -> None:
    done = tabsync(directory, *words, "--json")
    assert done.json["version"] == 1
    error = done.json["error"]
    assert error["exit_code"] == done.code in (2, 3)
    assert error["fact"]
    assert error["hint"]


def test_down_is_json_too(directory: Path) -> None:
    for command in ("health", "status"):
        done = tabsync(directory, command, "--database", USELESS, "--json")
        assert (done.code, done.json["version"], done.json["kind"]) == (3, 1, command)


def test_a_pipe_that_closes_early_is_no_error(shop: Path) -> None:
    line = f"'{TABSYNC}' manual show --json | head -c 10"
    done = subprocess.run(
        ["sh", "-c", f"{line}"], cwd=shop, env=environment(shop), capture_output=True, text=True, timeout=30
    )
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_what_the_manual_of_init_expects_counts_from_then_on(databases: Databases, directory: Path) -> None:
    """Also while nobody serves it."""
    assert tabsync(directory, "init", databases()).code == 0
    kept = tabsync(directory, "schedule", "compliance", "--json").json
    assert kept["in_force_since"] is not None
    assert {one["item"] for one in kept["items"]} >= {"backup-take-full", "drill-backup-latest-keep-warm"}
    again = tabsync(directory, "init", databases(), "--yes")
    assert again.code == 0, again.err


def test_a_name_full_of_markup_is_printed_as_it_is(databases: Databases, directory: Path) -> None:
    name = "[/bold] | [red]"
    conninfo = databases(name=name)
    manual = directory / "manual.md"
    assert tabsync(directory, "init", conninfo).code == 0
    assert manual.exists()
    for words in (("health",), ("backup", "take", "full"), ("backup", "list"), ("backup", "show")):
        done = tabsync(directory, *words, LOGNAME="[/odd]")
        assert done.code in (0, 1), (words, done.err)
    runs = tabsync(directory, "run", "list", "--json").json["runs"]
    assert "[/odd]" in {one["actor"] for one in runs}
    assert "[/odd]" in tabsync(directory, "run", "list").out
    shown = tabsync(directory, "run", "show", runs[0]["id"])
    assert name in shown.out


CANARY = "canary-Zx8-p@ss:w/ord"


def test_no_password_is_anywhere(tabsync_database: Callable[..., str], directory: Path) -> None:
    from urllib.parse import quote

    conninfo = tabsync_database()
    parts = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    run_sql(conninfo, "create role keeper superuser login password 'canary-Zx8-p@ss:w/ord'")
    url = (
        f"postgresql://keeper:{quote(CANARY, safe='')}@/{parts['dbname']}"
        f"?host={quote(parts['host'], safe='')}&port={parts['port']}"
    )
    told = []
    try:
        for words in (
            ("init", url),
            ("drill", "--database", url),
            ("status", "--database", url, "--json"),
            ("drill", "--dry-run", "--database", url, "--json"),
        ):
            done = tabsync(directory, *words)
            assert done.code in (0, 1), done.err
            told.append(done.out + done.err)
        failed = tabsync(directory, "backup", "take", "full", "--database", url.replace(parts["dbname"], "nothing"))
        told.append(failed.out + failed.err)
        run_sql(conninfo, "alter role keeper password 'changed'")
        refused = tabsync(directory, "health", "--database", url)
        assert refused.code == 3
        told.append(refused.out + refused.err)
    finally:
        run_sql(conninfo, "drop role keeper")
    needles = (CANARY.encode(), quote(CANARY, safe="").encode(), b"canary-Zx8")
    assert not [text for text in told if any(needle in text.encode() for needle in needles)]
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {"tabsync.toml", "manual.md", "ledger.sqlite"} <= {path.name for path in files}
    assert [path for path in files if path.suffix == ".html"]
    assert [path for path in files if any(needle in path.read_bytes() for needle in needles)] == []


def test_init_over_existing_files_needs_to_be_confirmed(databases: Databases, directory: Path) -> None:
    conninfo = databases()
    (directory / "manual.md").write_text("mine\n")
    (directory / "tabsync.toml").write_text("name = 'mine'\n")
    refused = tabsync(directory, "init", conninfo)
    assert refused.code == 4
    assert "without a terminal" in refused.err
    assert "--yes" in refused.err
    shown = tabsync(directory, "init", conninfo, "--dry-run")
    assert (shown.code, "Nothing was changed" in shown.out) == (0, True)
    assert sorted(path.name for path in directory.iterdir()) == ["manual.md", "tabsync.toml"]
    assert (directory / "manual.md").read_text() == "mine\n"
    done = tabsync(directory, "init", conninfo, "--yes", "--json")
    assert (done.code, done.json["kind"], done.json["version"]) == (0, "init", 1)
    kept = {Path(file["kept"]).read_text() for file in done.json["files"]}
    assert kept == {"mine\n", "name = 'mine'\n"}
    assert tabsync(directory, "manual", "check").code == 0
    assert tabsync(directory, "health").code == 0
    (run,) = tabsync(directory, "run", "list", "--json").json["runs"]
    assert (run["procedure"], run["approval"]) == ("init", "--yes")


def test_a_directory_that_may_not_be_written(databases: Databases, directory: Path) -> None:
    if os.geteuid() != 0:
        (directory / "closed").mkdir(mode=0o500)
        where = directory / "closed"
    else:
        where = Path("/proc")
    done = tabsync(directory, "init", databases(), "--directory", where)
    assert done.code == 4
    assert "hint: " in done.err


def test_a_session_that_is_ended_meanwhile_is_no_traceback(shop: Path) -> None:
    with psycopg.connect(conninfo_of(shop)) as connection:
        connection.execute("alter role postgres set statement_timeout = '1ms'")
        connection.commit()
        try:
            assert tabsync(shop, "health").code in (0, 1, 3)
        finally:
            connection.execute("alter role postgres reset statement_timeout")
            connection.commit()


def conninfo_of(shop: Path) -> str:
    import tomllib

    return str(tomllib.loads((shop / "tabsync.toml").read_text())["database"])


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["restore", "nonsense"], "error: no such command 'nonsense'\nhint: tabsync restore --help\n"),
        (["backup", "take", "all"], "error: invalid value for 'kind'"),
        (["restore", "new", "twice", "--json"], "error: got unexpected extra argument (twice)\nhint: "),
    ],
)
def test_what_is_mistyped_is_told_like_any_other_error(directory: Path, words: list[str], fact: str) -> None:
    done = tabsync(directory, *words)
    assert (done.code, done.err[: len(fact)]) == (2, fact)
    if "--json" in words:
        assert done.json["error"]["exit_code"] == 2


def test_a_group_without_its_command_shows_its_help(directory: Path) -> None:
    done = tabsync(directory, "restore")
    assert (done.code, done.out) == (2, "")
    assert "in-place" in done.err
    assert "error" not in done.err


def test_what_dead_processes_left_is_named_when_it_is_cleared(directory: Path, databases: Databases) -> None:
    (directory / "tabsync.toml").write_text(f'database = "{databases()}"\n')
    for number in range(5):
        (directory / ".tabsync" / "staging" / f"copy-{number}").mkdir(parents=True)
    told = tabsync(directory, "backup", "list").err
    assert "an earlier command died: cleaned up left-over files (copy-" in told
    assert "and 2 more" in told
    assert list((directory / ".tabsync" / "staging").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    ["health", "status", "backup list", "backup take full", "drill", "restore new", "run list", "wal status", "serve"],
)
def test_where_nothing_names_a_database_every_command_says_so(words: str, tmp_path: Path) -> None:
    done = tabsync(tmp_path, *words.split())
    assert done.code == 2
    assert done.err.splitlines()[0] == "error: there is no tabsync.toml in this directory, and no database is named"
    assert "tabsync init" in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_a_manual_no_tables_of_the_demo_are_looked_for(databases: Databases, directory: Path) -> None:
    done = tabsync(directory, "health", "--json", "--database", databases())
    assert {one["name"] for one in done.json["checks"]} <= {"database", "pg_catalog.pg_class"}
    assert done.code == 0
