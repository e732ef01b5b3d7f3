"""What a provider keeps, beside our own; and a restore that is asked of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tabsync.backups.procedures.at_provider import AtProvider, look_provider
from tabsync.backups.provider import project_of, provider_state
from tabsync.backups.restore import managed as managed_restore
from tabsync.backups.restore.managed import parse_moment, plan_restore_managed
from tabsync.kernel.clock import iso, now
from tabsync.kernel.errors import BadUsage, FailedPartway, Refused
from tabsync.kernel.plan import check_approval
from tabsync.kernel.runner import Outcome, run
from tabsync.kernel.step import Risk
from tabsync.workspace import Workspace, find
from tests.drills.test_odd_databases import fill
from tests.postgres.cli.program import tabsync
from tests.postgres.providers.supabase import EARLIEST, LATEST, REF, TOKEN, Api, listed

WHEN = datetime.fromtimestamp(EARLIEST + 60, UTC)


@pytest.fixture
def shop(tabsync_database: Callable[..., str], workspaces: Callable[..., Workspace]) -> Workspace:
    """A workspace whose database counts as Supabase's."""
    return replace(workspaces(tabsync_database()), provider="supabase", project=REF)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits as long as in earnest."""
    monkeypatch.setattr(managed_restore, "POLL", 0.01)


def restored(workspace: Workspace) -> Outcome:
    return run(plan_restore_managed(workspace, WHEN), workspace, workspace.journal())


def test_what_the_provider_keeps(shop: Workspace, api: Api) -> None:
    found = provider_state(shop)
    assert found is not None
    assert (found["project"], found["region"], len(found["snapshots"])) == (REF, "sa-east-1", 3)
    window = {"earliest": "2026-11-18T11:06:40+00:00", "latest": "2026-11-25T09:46:40+00:00"}
    assert found["window"] == window
    api.backups = listed(pitr=False)
    without = provider_state(shop)
    assert without is not None and without["window"] is None
    assert provider_state(replace(shop, provider="", project="")) is None
    assert len(api.asked) == 2


def test_what_can_not_be_seen_is_unknown(shop: Workspace, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers = [(500, {}, b"")] * 4
    found = provider_state(shop)
    assert found is not None and "snapshots" not in found
    assert "answered 500" in found["problem"]
    monkeypatch.delenv("SUPABASE_ACCESS_TOKEN")
    found = provider_state(shop)
    assert found is not None and "SUPABASE_ACCESS_TOKEN is not set" in found["problem"]
    with pytest.raises(BadUsage, match="'aws' is unknown"):
        project_of(replace(shop, provider="aws"))


def configured(directory: Path, workspace: Workspace) -> Path:
    conninfo = workspace.conninfo.replace("\\", "\\\\").replace('"', '\\"')
    text = f'database = "{conninfo}"\nstore = "store"\nprovider = "supabase"\nproject = "{REF}"\n'
    (directory / "tabsync.toml").write_text(text)
    return directory


def test_the_list_shows_both_and_the_token_nowhere(shop: Workspace, api: Api, directory: Path) -> None:
    place = configured(directory, shop)
    assert find(place / "tabsync.toml").project == REF
    env: Any = {"TABSYNC_SUPABASE_URL": api.url, "SUPABASE_ACCESS_TOKEN": TOKEN}
    tabsync(place, "backup", "take", "full", **env)
    done = tabsync(place, "backup", "list", **env)
    assert done.code == 0
    assert f"Kept by Supabase, project {REF}, sa-east-1" in done.out
    assert "point in time: 2026-11-18 11:06:40 to 2026-11-25 09:46:40 UTC" in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    told = tabsync(place, "backup", "list", "--json", **env).json
    assert len(told["backups"]) == 1 and len(told["provider"]["snapshots"]) == 3
    without = tabsync(place, "backup", "list", TABSYNC_SUPABASE_URL=api.url)
    assert without.code == 0
    assert "the backups of Supabase are unknown: SUPABASE_ACCESS_TOKEN is not set" in without.err
    window = tabsync(place, "backup", "window", **env)
    assert window.code == 0 and f"Supabase, project {REF}" in window.out and "restore managed TIME" in window.out
    unknown = tabsync(place, "backup", "window", TABSYNC_SUPABASE_URL=api.url)
    assert (unknown.code, "unknown: SUPABASE_ACCESS_TOKEN is not set" in unknown.out) == (1, True)
    wrong = tabsync(place, "backup", "list", **(env | {"SUPABASE_ACCESS_TOKEN": "sbp_wrong"}))
    assert "does not accept the token" in wrong.err and "sbp_wrong" not in wrong.err + wrong.out
    plan = tabsync(place, "restore", "managed", WHEN.isoformat(), "--dry-run", **env)
    assert plan.code == 0 and "recovery_time_target_unix" in "".join(plan.out.split())
    refused = tabsync(place, "restore", "managed", WHEN.isoformat(), **env)
    assert refused.code == 4 and "can't be confirmed without a terminal" in refused.err
    assert api.restores == []
    assert not [path for path in place.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_restore_after_a_backup_and_a_typed_name(shop: Workspace, api: Api, quick: None) -> None:
    api.states = ["ACTIVE_HEALTHY", "ACTIVE_HEALTHY", "RESTORING", "RESTORING", "ACTIVE_HEALTHY"]
    plan = plan_restore_managed(shop, WHEN)
    assert (plan.risk, plan.confirm) == (Risk.DESTRUCTIVE, REF)
    with pytest.raises(Refused, match="nothing was changed"):
        check_approval(plan, typed="yes", yes=False)
    assert check_approval(plan, typed=REF, yes=False) == "typed"
    outcome = run(plan, shop, shop.journal())
    outcome.raise_if_failed()
    assert api.restores == [EARLIEST + 60]
    kept = shop.store().manifest(outcome.results["commit"]["backup"])
    assert (kept.kind, kept.reason) == ("full", "emergency")
    assert outcome.results["wait"]["states"] == ["ACTIVE_HEALTHY", "RESTORING", "ACTIVE_HEALTHY"]
    content = b"".join(path.read_bytes() for path in shop.home.rglob("*") if path.is_file())
    assert TOKEN.encode() not in content


def test_no_backup_no_restore(shop: Workspace, api: Api, quick: None) -> None:
    plan = plan_restore_managed(shop, WHEN)
    shop.store().prepare()
    manifests = shop.store_root / "manifests"
    manifests.rmdir()
    manifests.symlink_to("/proc")  # there, but not even root can write the manifest into it
    outcome = run(plan, shop, shop.journal())
    assert outcome.error is not None and outcome.failed_step == "commit"
    assert api.restores == []


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (["ACTIVE_HEALTHY", "RESTORING", "RESTORE_FAILED"], "ended in RESTORE_FAILED"),
        (["ACTIVE_HEALTHY"], "has not started the restore"),
        (["ACTIVE_HEALTHY", "RESTORING"], "is RESTORING after"),
    ],
)
def test_a_restore_that_does_not_end_well(
    states: list[str], told: str, shop: Workspace, api: Api, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not states[-1].endswith("FAILED"):  # that one ends by itself, however slow this machine is
        monkeypatch.setattr(managed_restore, "BEGINS", 0.1)
        monkeypatch.setattr(managed_restore, "ENDS", 0.2)
    api.states = states
    outcome = restored(shop)
    assert isinstance(outcome.error, FailedPartway) and told in outcome.error.fact


def test_what_is_refused_before_anything_is_asked_for(shop: Workspace, api: Api) -> None:
    for moment in (datetime.fromtimestamp(EARLIEST - 1, UTC), datetime.fromtimestamp(LATEST + 1, UTC)):
        with pytest.raises(Refused, match="outside the window") as raised:
            plan_restore_managed(shop, moment)
        assert "2026-11-18 11:06:40 UTC" in raised.value.hint
    api.states = ["RESTORING"]
    with pytest.raises(Refused, match="is RESTORING, not ACTIVE_HEALTHY"):
        plan_restore_managed(shop, WHEN)
    api.states = ["ACTIVE_HEALTHY"]
    fill(
        shop.conninfo,
        "create subscription feed connection 'dbname=x' publication p with (connect = false, slot_name = none)",
    )
    try:
        with pytest.raises(Refused, match="subscription feed"):
            plan_restore_managed(shop, WHEN)
    finally:
        fill(shop.conninfo, "drop subscription feed")
    api.backups = listed(pitr=False)
    with pytest.raises(Refused, match="no point-in-time recovery"):
        plan_restore_managed(shop, WHEN)
    with pytest.raises(BadUsage, match="does not know this database's provider"):
        plan_restore_managed(replace(shop, provider="", project=""), WHEN)
    assert api.restores == []


def test_a_database_that_is_gone_needs_saying_so(shop: Workspace, api: Api, quick: None) -> None:
    from tabsync.kernel.errors import CannotConnect

    gone = replace(shop, conninfo="host=127.0.0.1 port=1 dbname=shop user=ops")
    with pytest.raises(CannotConnect):
        plan_restore_managed(gone, WHEN)
    plan = plan_restore_managed(gone, WHEN, backup_first=False)
    assert [step.key for step in plan.steps] == ["request", "wait", "answer"]
    assert "no backup is taken before it" in plan.steps[0].undo


def test_moments_as_a_person_types_them() -> None:
    assert parse_moment("2026-11-22T18:15:00-03:00") == datetime(2026, 11, 22, 21, 15, tzinfo=UTC)
    assert parse_moment("2026-11-22 18:15") == datetime(2026, 11, 22, 18, 15).astimezone()
    with pytest.raises(BadUsage, match="not a timestamp"):
        parse_moment("yesterday")


_PGBACKREST = """#!/bin/sh
# Stands in for pgBackRest, which isn't installed here; it prints what the documentation of `info` shows.
[ "$*" = "info --output=json" ] || { echo "ERROR: [031]: invalid option" >&2; exit 31; }
cat <<'END'
[{"archive":[{"database":{"id":1,"repo-key":1},"id":"17-1","max":"000000010000000000000009","min":"000000010000000000000002"}],
"backup":[{"archive":{"start":"000000010000000000000002","stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.54"},
"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":31457280,"repository":{"delta":4194304,"size":4194304},"size":31457280},
"label":"20261122-031011F","lsn":{"start":"0/2000028","stop":"0/3000050"},"prior":null,"reference":null,
"timestamp":{"start":1795317011,"stop":1795317016},"type":"full"}],"cipher":"none",
"db":[{"id":1,"repo-key":1,"system-id":7438951234567890123,"version":"17"}],"name":"shop",
"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]
END
"""


def test_pgbackrest_is_read_where_it_is_installed(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tabsync.backups.provider import pgbackrest_state

    program, others = tmp_path / "pgbackrest", tmp_path / "others"
    others.mkdir()
    (others / "cat").symlink_to(str(shutil.which("cat")))  # all else stays out: pgBackRest may be installed here
    path = f"{tmp_path}:{others}"
    monkeypatch.setenv("PATH", path)
    assert pgbackrest_state() is None
    program.write_text(_PGBACKREST)
    program.chmod(0o755)
    found = pgbackrest_state("7438951234567890123")
    assert found is not None
    (stanza,) = found["stanzas"]
    assert (stanza["name"], stanza["status"]) == ("shop", "ok")
    assert stanza["wal"] == {"first": "000000010000000000000002", "last": "000000010000000000000009"}
    (backup,) = stanza["backups"]
    assert (backup["label"], backup["kind"], backup["bytes"], backup["failed"]) == (
        "20261122-031011F",
        "full",
        31457280,
        False,
    )
    strangers = pgbackrest_state("1")
    assert strangers is not None and strangers["stanzas"] == []
    done = tabsync(directory, "backup", "list", "--store", str(directory / "store"), PATH=path)
    assert "Kept by pgBackRest, stanza shop: ok" in done.out and "20261122-031011F" in done.out
    for broken in ("#!/bin/sh\necho 'ERROR: [055]: no repository' >&2; exit 55\n", "#!/bin/sh\necho nonsense\n"):
        program.write_text(broken)
        failed = pgbackrest_state()
        assert failed is not None and failed["problem"].startswith("pgbackrest info failed")


@pytest.mark.parametrize(
    ("pitr", "hours", "region", "code", "says"),
    [
        (False, 10, "", 0, "GOOD: Supabase has a snapshot of 10 h"),
        (False, 30, "", 1, "its newest snapshot is of 1 d 6 h"),
        (False, 10, "eu-west-1", 1, "it is kept in sa-east-1, and not in eu-west-1"),
        (True, 0.1, "sa-east-1", 0, "GOOD: Supabase can restore any moment until 6 min"),
        (True, 2, "", 1, "its point-in-time recovery ends 2 h"),
        (None, 0, "", 6, "UNKNOWN"),
    ],
)
def test_what_the_provider_keeps_is_young_enough_or_told(
    pitr: bool | None, hours: float, region: str, code: int, says: str, shop: Workspace, api: Api
) -> None:
    moment = now() - timedelta(hours=hours)
    api.backups = listed(pitr=bool(pitr))
    if pitr is None:
        api.answers = [(503, {}, b"")] * 4
    elif pitr:
        api.backups["physical_backup_data"]["latest_physical_backup_date_unix"] = int(moment.timestamp())
    else:
        api.backups["backups"][0]["inserted_at"] = iso(moment)
        api.backups["backups"][2]["inserted_at"] = iso(now())  # that one failed
    page = look_provider(shop, AtProvider(region))
    assert page.exit_code == code
    assert says in page.headline
