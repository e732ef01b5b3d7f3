"""backup verify: digests without --deep, a proven copy and sound indexes with it; and it goes red."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
import pytest

from tabsync.backups.list import list_backups
from tabsync.backups.verify import judge_deep, plan_verify, plan_verify_deep
from tabsync.copies.choose import chosen
from tabsync.kernel.errors import BadUsage, ProblemFound
from tabsync.kernel.runner import Outcome, Quiet, run
from tabsync.kernel.step import Facts, Step
from tabsync.ledger.evidence import latest_evidence
from tabsync.postgres import embedded
from tabsync.stores.local import LocalStore
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.drills.test_drill import injure, left_behind
from tests.drills.test_odd_databases import fill
from tests.drills.test_restore import backed_up

_ODD = Path(__file__).with_name("odd.sql")


@pytest.fixture
def kept(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> tuple[Workspace, str]:
    """The workspace of a TabSync database, and a backup of it."""
    workspace = workspaces(tabsync_database())
    return workspace, backed_up(workspace)


def verified(workspace: Workspace, *backups: str) -> Outcome:
    return run(plan_verify(workspace, list(backups)), workspace, workspace.journal())


def deeply(workspace: Workspace, backup: str, listener: Quiet | None = None) -> Outcome:
    return run(plan_verify_deep(workspace, backup), workspace, workspace.journal(), listener)


def proven(workspace: Workspace) -> dict[str, bool | None]:
    return {one["id"]: one["proven"] for one in list_backups(workspace)[0]}


def test_every_object_of_every_backup_is_read_once(kept: tuple[Workspace, str]) -> None:
    workspace, first = kept
    second = backed_up(workspace)
    assert set(chosen(workspace, "all")) == {first, second}
    assert chosen(workspace, "latest") == [second]
    outcome = verified(workspace, first, second)
    outcome.raise_if_failed()
    verdicts = outcome.results["read"]["backups"]
    assert [(one["backup"], one["ok"], one["wrong"]) for one in verdicts] == [(first, True, []), (second, True, [])]
    # The two share every table: what is read is little more than one of them.
    assert outcome.results["read"]["bytes"] < 1.5 * verdicts[0]["bytes"]
    assert proven(workspace) == {first: None, second: None}  # unchanged bytes prove no restore


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_harm_is_found_and_the_table_named(harm: str, kept: tuple[Workspace, str]) -> None:
    workspace, backup = kept
    file = next(file for file in workspace.store().manifest(backup).files if file.table == "payments")
    injure(LocalStore(workspace.store_root), file.digest, harm)
    outcome = verified(workspace, backup)
    assert isinstance(outcome.error, ProblemFound)
    assert "table public.payments: object" in outcome.error.fact
    evidence = latest_evidence(workspace.ledger(), "verify")
    assert evidence is not None and evidence["ok"] is False
    assert proven(workspace) == {backup: False}


def test_a_damaged_manifest_is_one_more_verdict(kept: tuple[Workspace, str]) -> None:
    workspace, backup = kept
    other = backed_up(workspace)
    path = workspace.store_root / "manifests" / f"{backup}.json"
    path.chmod(0o600)
    path.write_text(path.read_text().replace("public", "pablic", 1))
    outcome = verified(workspace, *chosen(workspace, "all"))
    assert isinstance(outcome.error, ProblemFound)
    assert "1 of 2 backups are corrupt" in outcome.error.fact
    assert {one["backup"]: one["ok"] for one in outcome.results["read"]["backups"]} == {backup: False, other: True}
    with pytest.raises(BadUsage, match="no backup"):
        chosen(workspace, "20200101T000000Z-beef")


@pytest.mark.parametrize("major", [15, 17, 18])
def test_deep_reads_every_index_of_the_copy(
    major: int, databases: Databases, workspaces: Callable[..., Workspace]
) -> None:
    conninfo = databases(major)
    fill(
        conninfo, "create table t (id int primary key, tags text[], at timestamptz); create index on t using gin (tags)"
    )
    fill(
        conninfo,
        "create index on t using brin (at); insert into t select i, array['a', i::text] from generate_series(1, 99) i",
    )
    workspace = workspaces(conninfo)
    backup = backed_up(workspace)
    outcome = deeply(workspace, backup)
    outcome.raise_if_failed()
    facts = outcome.results["record"]
    assert (facts["ok"], facts["content"], facts["rows"]) == (True, "identical", 99)
    assert facts["indexes"] > 100  # the system's too
    lacking = ["index public.t_at_idx: this version of amcheck does not check brin indexes"]
    lacking += ["index public.t_tags_idx: this version of amcheck does not check gin indexes"] if major < 18 else []
    assert facts["not_checked"] == lacking
    assert proven(workspace) == {backup: True}
    assert left_behind(workspace) == []


class Tamper(Quiet):
    """Changes the copy just before its indexes are read."""

    def __init__(self, workspace: Workspace, statement: str) -> None:
        self.workspace, self.statement = workspace, statement

    def step_started(self, number: int, total: int, step: Step) -> None:
        if step.key == "amcheck":
            (scratch,) = self.workspace.scratch().iterdir()
            database = psycopg.conninfo.conninfo_to_dict(self.workspace.conninfo)["dbname"]
            fill(embedded.opened(scratch).conninfo(str(database)), self.statement)


_BACKWARDS = (
    "set allow_system_table_mods = on;"
    " update pg_index set indoption = '3' where indexrelid = 'orders_created_at_idx'::regclass"
)


def test_an_index_out_of_order_is_found(kept: tuple[Workspace, str]) -> None:
    # To the catalog the index now runs backwards: what a changed collation does to an index of text.
    workspace, backup = kept
    outcome = deeply(workspace, backup, Tamper(workspace, _BACKWARDS))
    assert isinstance(outcome.error, ProblemFound)
    assert "the copy is corrupt: index public.orders_created_at_idx: " in outcome.error.fact
    assert outcome.results["record"]["content"] == "not proven"
    assert proven(workspace) == {backup: False}
    assert left_behind(workspace) == []


def test_a_row_that_an_index_lost_is_found(kept: tuple[Workspace, str]) -> None:
    # Written while the index counted as not there, as a damaged one misses rows.
    workspace, backup = kept
    own = "where indexrelid = 'orders_created_at_idx'::regclass"
    lost = (
        "set allow_system_table_mods = on;"
        f" update pg_index set indisready = false, indislive = false {own};"
        " update orders set created_at = created_at + interval '1 second' where ctid = (select min(ctid) from orders);"
        f" update pg_index set indisready = true, indislive = true {own}"
    )
    outcome = deeply(workspace, backup, Tamper(workspace, lost))
    assert isinstance(outcome.error, ProblemFound)
    assert "orders_created_at_idx" in outcome.error.fact and "lacks matching index tuple" in outcome.error.fact


def test_deep_needs_a_full_backup(kept: tuple[Workspace, str]) -> None:
    from tabsync.backups.take import plan_take

    workspace, backup = kept
    outcome = run(plan_take(workspace, "schema", "test"), workspace, workspace.journal())
    assert chosen(workspace, "latest", full=True) == [backup]
    with pytest.raises(BadUsage, match="is of kind schema"):
        plan_verify_deep(workspace, str(outcome.results["commit"]["backup"]))


def test_without_amcheck_nothing_is_called_fine() -> None:
    done: Mapping[str, Facts] = {
        key: {"unproven": []} for key in ("fetch", "scratch", "restore", "round_trip", "rows", "orphans")
    }
    lacking = {
        "available": False,
        "indexes": 0,
        "not_checked": ["indexes and pages: the extension amcheck is not installed on this server"],
    }
    facts = judge_deep({**done, "amcheck": lacking})
    assert (facts["ok"], facts["content"]) == (False, "partial")
    assert facts["unproven"] == lacking["not_checked"]
    assert judge_deep(done)["content"] == "not proven"
