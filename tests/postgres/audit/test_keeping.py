"""Old months leave the database for the store, and a person's values are masked; the chain still proves the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabsync.audit.database.log import log_of
from tabsync.audit.database.months import first_of
from tabsync.audit.keeping.archive import Archive, plan_archive, show_archive
from tabsync.audit.keeping.erase import Erase, plan_erase, show_erase
from tabsync.audit.seals.outside import Outside
from tabsync.audit.seals.seal import anchor_of, sealed
from tabsync.audit.seals.verified import verified
from tabsync.kernel import clock
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import plan_from_json
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import identity
from tabsync.stores.keys import Keys, new_identity
from tabsync.stores.manifest import subject_of
from tabsync.workspace import Workspace
from tests.postgres.audit.steps import Died, Silent, dies_at, status

Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def workspace(audited_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces(audited_database())


@pytest.fixture
def session(workspace: Workspace) -> Iterator[Session]:
    with psycopg.connect(workspace.conninfo, autocommit=True) as opened:
        yield opened


def does(workspace: Workspace, request: Any, plan: Callable[..., Any], show: Callable[..., Page]) -> Page:
    made = plan(workspace, request)
    outcome = run(plan_from_json(made.plan.to_json()), workspace, Silent(), approval="--yes")
    outcome.raise_if_failed()
    return show(Done(workspace, request, made, outcome))


def archives(workspace: Workspace, request: Archive | None = None) -> Page:
    return does(workspace, request or Archive(), plan_archive, show_archive)


def erases(workspace: Workspace, request: Erase) -> Page:
    return does(workspace, request, plan_erase, show_erase)


def seal(workspace: Workspace) -> list[Facts]:
    with workspace.connect("tests") as connection:
        return [anchor_of(one) for one in sealed(connection, log_of(connection))]


def verdict(workspace: Workspace, anchors: list[Facts]) -> Facts:
    with workspace.connect("tests") as connection:
        return verified(connection, Outside(tuple(anchors)))


def change(session: Session) -> str:
    row = session.execute(
        "update users set full_name = 'Ana B', email = 'ana.b@example.com'"
        " where email = 'user@example.com' returning id"
    ).fetchone()
    assert row
    return str(row[0])


def age(session: Session) -> None:
    """The first partition ends years ago: what was written by now is of that time."""
    session.execute(f"drop table if exists audit_logs_{first_of(clock.now(), 1):%Y_%m}")
    (name,) = session.execute(
        "select relname from pg_class where relname like 'audit_logs_until%' and relkind = 'r' limit 1"
    ).fetchone() or ("",)
    session.execute(f"alter table audit_logs detach partition {name}")
    session.execute("begin; select set_config('tabsync.audit_change', 'a test', true)")
    session.execute(f"update {name} set created_at = created_at - interval '5 years'")
    session.execute("commit")
    session.execute(
        f"alter table audit_logs attach partition {name} for values from (minvalue) to ('2025-01-01 00:00+00')"
    )


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_month_goes_to_the_store_and_the_chain_stays_whole(
    workspace: Workspace, session: Session, directory: Path, encrypted: bool
) -> None:
    if encrypted:
        recipient = new_identity(directory / "identity")
        workspace = replace(workspace, keys=Keys((recipient,), directory / "identity"))
    change(session)
    age(session)
    with pytest.raises(Refused, match="no seal covers yet"):
        archives(workspace)
    anchors = seal(workspace)
    assert "1 partition of the log is older than the manual keeps entries" in _notes(workspace)
    before = session.execute("select count(*) from audit_logs where created_at < '2025-01-01'").fetchone()
    page = archives(workspace)
    assert before and page.data["archived"][0]["rows"] == before[0] > 100
    assert session.execute("select count(*) from audit_logs where created_at < '2025-01-01'").fetchone() == (0,)
    with workspace.connect("tests") as connection:
        names = sorted(one.name for one in workspace.store().files(f"audit/{subject_of(identity(connection))}"))
    assert [name.rpartition(".")[2] for name in names] == ["zst", "json"]
    found = verdict(workspace, anchors)
    assert (found["wrong"], found["gone"] > 0) == ("", True)
    assert archives(workspace).headline == "NOTHING TO ARCHIVE"
    assert "older than" not in _notes(workspace)
    change_again = "update users set full_name = 'Ana C' where email = 'ana.b@example.com'"
    session.execute(change_again)
    assert verdict(workspace, anchors + seal(workspace))["wrong"] == ""


def _notes(workspace: Workspace) -> str:
    return "; ".join(one["told"] for one in status(workspace).data["drift"] if one["weak"])


def test_it_goes_on_whenever_it_dies(workspace: Workspace, session: Session) -> None:
    age(session)
    seal(workspace)
    before = session.execute("select count(*) from audit_logs where created_at < '2025-01-01'").fetchone()
    for number in range(5, 60, 6):
        with pytest.MonkeyPatch.context() as patch, dies_at(patch, number), suppress(Died):
            archives(workspace)
    archives(workspace)
    assert before
    noted = session.execute("select rows, length(ids_and_hashes) / 24 from tabsync_audit.archives").fetchall()
    assert noted == [(before[0], before[0])]


def test_what_was_changed_after_it_was_archived_is_not_dropped(workspace: Workspace, session: Session) -> None:
    age(session)
    seal(workspace)
    made = plan_archive(workspace, Archive())
    first = replace(made.plan, steps=made.plan.steps[:1])
    run(first, workspace, Silent()).raise_if_failed()
    session.execute("begin; select set_config('tabsync.audit_change', 'a test', true)")
    session.execute("update audit_logs set action = 'x' where id = (select min(id) from audit_logs)")
    session.execute("commit")
    outcome = run(replace(made.plan, steps=made.plan.steps[1:]), workspace, Silent(), approval="--yes")
    assert isinstance(outcome.error, Refused)
    assert "is not any more what was archived" in outcome.error.fact
    assert session.execute("select count(*) from audit_logs where created_at < '2025-01-01'").fetchone() != (0,)


def test_a_legal_hold_keeps_everything(workspace: Workspace, session: Session) -> None:
    key = change(session)
    age(session)
    seal(workspace)
    assert archives(workspace, Archive(hold="case 4711")).headline == "HELD: case 4711"
    assert plan_archive(workspace, Archive()).plan.steps == ()
    with pytest.raises(Refused, match="held: case 4711"):
        plan_erase(workspace, Erase(key, "request"))
    archives(workspace, Archive(release=True))
    assert len(plan_archive(workspace, Archive()).plan.steps) == 2
    for wrong in (Archive(hold=" "), Archive(hold="x", release=True)):
        with pytest.raises(BadUsage):
            plan_archive(workspace, wrong)


def test_a_persons_values_are_masked_and_the_chain_knows_it(workspace: Workspace, session: Session) -> None:
    key = change(session)
    anchors = seal(workspace)
    page = erases(workspace, Erase(key, "request of 2026-11-29"))
    assert page.headline == f"MASKED 1 ENTRIES of public.users {key}"
    told = "select old_value, new_value from audit_logs where entity_id = %s and action = 'UPDATE' and xid is not null"
    row = session.execute(told, [key]).fetchone()
    assert row
    assert {row[0]["email"], row[0]["full_name"], row[1]["email"], row[1]["full_name"]} == {"(erased)"}
    assert row[0]["updated_at"] != "(erased)"
    assert session.execute("select count(*) from audit_logs where audit_logs::text like '%ana.b@%'").fetchone() == (0,)
    anchors += seal(workspace)
    found = verdict(workspace, anchors)
    assert (found["wrong"], found["masked"]) == ("", 1)
    assert status(workspace).exit_code == 0
    wrong_ones: tuple[tuple[str, dict[str, str]], ...] = (
        ("nobody", {}),
        (key, {"reason": " "}),
        (key, {"table": "orders"}),
        (key, {"columns": "nothing"}),
    )
    for wrong, more in wrong_ones:
        with pytest.raises(BadUsage):
            plan_erase(workspace, Erase(**{"key": wrong, "reason": "x"} | more))
    with pytest.raises(Refused, match="is the key"):
        plan_erase(workspace, Erase(key, "x", columns="id"))


def test_what_the_application_wrote_itself_is_masked_too(workspace: Workspace, session: Session) -> None:
    key = change(session)
    written = (
        "insert into audit_logs (action, entity_type, entity_id, old_value, new_value) values"
        """ ('X', %s, %s, '{"email": "ana.b@example.com"}', '{"email": "other@example.com", "plan": "gold"}')"""
    )
    for entity, entity_id in (("User", key), ("User", "somebody else"), ("Order", key)):
        session.execute(written, [entity, entity_id])
    session.execute("begin; select set_config('tabsync.audit_change', 'a test', true)")
    session.execute(  # as an application wrote it before the install: no transaction is known
        "update audit_logs set entity_type = 'User', entity_id = %s, new_value = %s, table_name = null"
        " where id = (select min(id) from audit_logs where xid is null)",
        [key, '{"full_name": "Ana B"}'],
    )
    session.execute("commit")
    anchors = seal(workspace)
    request = Erase(key, "request of 2026-11-29")
    (step,) = plan_erase(workspace, request).plan.steps
    assert "in 3 of 3 entries" in step.title
    assert "1 of them the application wrote itself, as User" in step.preview
    assert "1 of them are from before the install: no seal covers them" in step.preview
    page = erases(workspace, request)
    assert (page.data["entries"], page.data["before_install"]) == (3, 1)
    assert "no mark" in str(page.blocks)
    assert session.execute("select count(*) from audit_logs where action = 'ERASE'").fetchone() == (2,)
    assert erases(workspace, replace(request, columns="plan")).data["entries"] == 1  # a name of the application's
    found = session.execute("select new_value from audit_logs where action = 'X' order by id").fetchall()
    assert [one["email"] for (one,) in found] == ["(erased)", "other@example.com", "other@example.com"]
    assert [one["plan"] for (one,) in found] == ["(erased)", "gold", "gold"]
    assert session.execute("select count(*) from audit_logs where new_value->>'full_name' = 'Ana B'").fetchone() == (0,)
    found_so = verdict(workspace, anchors + seal(workspace))
    assert (found_so["wrong"], found_so["masked"]) == ("", 2)
