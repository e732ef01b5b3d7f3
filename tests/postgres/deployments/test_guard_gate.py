"""What the manual asks for before a migration: done by the guard, and done again for the next one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tabsync.workspace import Workspace
from tests.postgres.deployments.site import Site, evidence, manual
from tests.prisma import Prisma

TICK = "how-to-undo-the-migration-is-written"


@pytest.fixture
def gated(shop: Site) -> Site:
    shop.manual.write_text(manual(gate=True))
    return shop


def test_the_gate_is_opened_and_closes_behind_the_deployment(gated: Site, ledger: Workspace) -> None:
    code, out, err = gated.guard()
    assert code == 4, out + err
    assert f"{TICK}: not ticked off" in err
    assert f'tabsync schedule done {TICK} --note "..."' in err
    assert (
        ledger.ledger().read("evidence", kind="backup", subject=None, ok=None, limit=9) == []
    )  # nothing is begun first
    assert gated.tabsync("schedule", "done", TICK, "--note", "drop it again")[0] == 0
    code, out, err = gated.guard()
    assert code == 0, out + err
    assert "PROVEN RESTORABLE" in out
    (kept,) = evidence(ledger)
    assert [one["ok"] for one in kept["facts"]["gate"]["items"]] == [True, True, True]
    gated.migration("2_more", "alter table plates add size int")
    code, out, err = gated.guard("--prove-within", "0")
    assert code == 0, out + err
    assert "is from before the last deployment" in err
    assert "the backup is not proven: its proof takes longer than 0 s, and goes on" in out
    assert len(ledger.ledger().read("evidence", kind="backup", subject=None, ok=True, limit=9)) == 2
    code, out, err = gated.tabsync("schedule", "compliance", "--json")
    gates = json.loads(out)["gates"]
    assert [(one["gate"], one["ok"]) for one in gates] == [
        ("each migration", False),  # it was gone on without the proof
        ("each migration", True),
        ("each migration", False),
    ]
    assert "PROVEN RESTORABLE" in gates[1]["items"][1]["evidence"]


def test_the_real_prisma(gated: Site, workspaces: Callable[..., Workspace]) -> None:
    (gated.folder / "1_plates.up.sql").unlink()
    for name, text in (
        ("1_first", "create table plate (id int primary key);\n"),
        ("2_broken", "alter table plate add column size int;\nselect 1 / 0;\nalter table plate add column x int;\n"),
    ):
        (gated.folder / name).mkdir()
        (gated.folder / name / "migration.sql").write_text(text)
    (gated.folder / "migration_lock.toml").write_text('provider = "postgresql"\n')
    gated.manual.write_text(manual(gate=False))
    prisma = Prisma(gated.directory, gated.conninfo, "model Plate {\n  id Int @id\n}\n")
    code, out, err = gated.tabsync(
        "migration", "guard", "--folder", ".", "--", *prisma.command("deploy"), **prisma.environment()
    )
    assert code == 1, out + err
    assert "2_broken has failed, of its statements are 1 there, 1 absent" in err
    assert "division by zero" in out
