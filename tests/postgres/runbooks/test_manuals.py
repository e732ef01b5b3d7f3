"""Each command and each SQL block of the runbooks of our manuals is carried out, where its condition is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tabsync.kernel.step import Facts, Risk
from tabsync.manual.load import load
from tabsync.manual.model import Step
from tabsync.manual.parts import Command
from tabsync.procedures import is_built
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.runbooks.candidates import likely
from tabsync.runbooks.check import runbooks_of
from tabsync.runbooks.placeholders import candidates, filled, open_in
from tabsync.runbooks.step import done, parts_of, prepared
from tabsync.workspace import PLAIN_MANUAL, Workspace, find
from tests.conftest import run_sql
from tests.sessions import connect

BY_OTHERS = {
    "restore to-time <moment>": ("tests/drills/test_pitr.py", "plan_to_time("),
    "migration undo <migration>": ("tests/drills/test_failed_migration.py", '"migration", "undo"'),
    "migration resolve <migration> --rolled-back": ("tests/drills/test_failed_migration.py", '"migration", "resolve"'),
    "restore diff <restored> <live>": ("tests/drills/test_failed_migration.py", '"restore", "diff"'),
}
"""What needs a physical backup and its WAL, or a migration that failed, is carried out there."""

LONGER = "5min"
"""For which a session must have been idle in our manual; in the test it is this long."""
IDLE = "1s"


class Ground:
    """A database with what the steps are about. leave: what is undone after a step."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.leave = workspace, ExitStack()
        self.shown: list[Facts] = []

    def nothing(self) -> dict[str, str]:
        """Nothing is needed."""
        return {}

    def idle(self) -> dict[str, str]:
        """A session that has idled for long enough."""
        opened = self._session("till")
        opened.execute("select 1")
        idle = "select state = 'idle' and state_change < now() - interval '1.1 s' from pg_stat_activity where pid = %s"
        self._until(idle, opened.info.backend_pid)
        return {"pid": str(opened.info.backend_pid)}

    def works(self) -> dict[str, str]:
        """A session that runs a long statement."""
        opened = self._session("report")

        def work() -> None:
            with suppress(psycopg.Error):
                opened.execute("select pg_sleep(60) from orders where status::text <> %s", ("",))

        thread = Thread(target=work)
        thread.start()
        self.leave.callback(thread.join)
        self.leave.callback(opened.cancel_safe)
        self._until("select state = 'active' from pg_stat_activity where pid = %s", opened.info.backend_pid)
        return {"pid": str(opened.info.backend_pid)}

    def invalid_index(self) -> dict[str, str]:
        """An index that a failed CREATE INDEX CONCURRENTLY has left."""
        run_sql(self.workspace.conninfo, "create index orders_of_nobody on orders (id)")
        run_sql(
            self.workspace.conninfo,
            "update pg_index set indisvalid = false where indexrelid = 'orders_of_nobody'::regclass",
        )
        return {}

    def restored(self) -> dict[str, str]:
        """The copy that a step before has made."""
        own = conninfo_to_dict(self.workspace.conninfo)["dbname"]
        copy = next(one for one in candidates("database", self.shown) if one != own)
        return {"database": copy, "table": "payments", "condition": "status = 'FAILED'"}

    def deleted(self) -> dict[str, str]:
        """A row that somebody has deleted, and its entry in the audit log."""
        session = self._session("psql")
        session.execute("delete from payments where id = (select id from payments where status = 'FAILED' limit 1)")
        found = session.execute("select id, xid from audit_logs where action = 'DELETE' order by id desc limit 1")
        entry, transaction = found.fetchone() or (0, 0)
        return {"entry": str(entry), "transaction": str(transaction), "table": "payments"}

    def _session(self, name: str) -> psycopg.Connection[Any]:
        opened = psycopg.connect(self.workspace.conninfo, application_name=name, autocommit=True)
        self.leave.callback(opened.close)
        return opened

    def _until(self, question: str, pid: int) -> None:
        with connect(self.workspace.conninfo, "tests") as asking:
            until = time.monotonic() + 30
            while asking.execute(question.encode(), (pid,)).fetchone() != (True,):
                assert time.monotonic() < until
                time.sleep(0.05)


NEEDS: dict[str, Callable[[Ground], dict[str, str]]] = {
    f"connections terminate --idle-for {IDLE}": Ground.idle,
    "connections terminate <pid>": Ground.idle,
    "queries cancel <pid>": Ground.works,
    "queries explain <pid>": Ground.works,
    "maintenance indexes --rebuild": Ground.invalid_index,
    "audit show <entry>": Ground.deleted,
    "restore rows --table <table> --transaction <transaction> --with-dependents": Ground.deleted,
    "restore rows --table <table> --where <condition> --from <database>": Ground.restored,
}


def parts() -> dict[str, tuple[Step, int]]:
    """Each different command and SQL block of the runbooks of our manuals; what takes a backup comes first."""
    found: dict[str, tuple[Step, int]] = {}
    for path in (PROFILE_MANUAL, PLAIN_MANUAL):
        for runbook in runbooks_of(load(path)):
            for step in runbook.steps:
                for number, part in enumerate(parts_of(step)):
                    text = " ".join(part.words) if isinstance(part, Command) else part
                    found.setdefault(text.replace(LONGER, IDLE), (_shorter(step), number))
    return dict(sorted(found.items(), key=lambda one: not one[0].startswith("backup take")))


def _shorter(step: Step) -> Step:
    def words(one: Command) -> tuple[str, ...]:
        return tuple(word.replace(LONGER, IDLE) for word in one.words)

    return step.model_copy(
        update={"commands": tuple(one.model_copy(update={"words": words(one)}) for one in step.commands)}
    )


def test_each_step_of_our_runbooks_is_carried_out(audited_database: Callable[[int], str], directory: Path) -> None:
    (directory / "tabsync.toml").write_text(
        f'database = "{audited_database(17)}"\nname = "restaurant"\nhome = "home"\nmanual = "{PROFILE_MANUAL}"\n'
        'app.backend = { kind = "command", restart = ["true"], logs = ["echo", "gateway: timeout"] }\n'
    )
    ground = Ground(find(directory / "tabsync.toml"))
    manual = load(PROFILE_MANUAL)
    for text, (step, number) in parts().items():
        part = parts_of(step)[number]
        assert not isinstance(part, Command) or is_built(part.words), text
        if text in BY_OTHERS:
            path, words = BY_OTHERS[text]
            assert words in Path(path).read_text()
            continue
        with ground.leave:
            values = NEEDS.get(text, Ground.nothing)(ground)
            values = {
                name: values.get(name) or likely(ground.workspace, manual, step, name, ground.shown)[0].value
                for name in open_in(step)
            }
            whole = filled(step, values)
            what = prepared(ground.workspace, whole, parts_of(whole)[number])
            result = done(what, None, what.plan.confirm if what.plan and what.risk is Risk.DESTRUCTIVE else "typed")
        assert result.is_good, (text, result.error)
        assert result.page is not None, text
        ground.shown.append(result.page.data)
