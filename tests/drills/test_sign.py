"""backup sign: who sets trusted_keys late, or retires a key, keeps the older backups; who forges one gains nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabsync.backups.copy import plan_copy
from tabsync.backups.prune import survey
from tabsync.backups.sign import plan_sign
from tabsync.backups.verify import plan_verify
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome, run
from tabsync.stores.keys import Keys, new_signing_key
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest, read_manifest
from tabsync.workspace import Workspace
from tests.drills.pruned import fabricate, prune
from tests.drills.test_sealed import take
from tests.postgres.cli.program import tabsync


@pytest.fixture
def unsigned(tabsync_database: Callable[[], str], workspaces: Callable[..., Workspace]) -> tuple[Workspace, Manifest]:
    """A workspace without keys, and a backup that it took."""
    workspace = workspaces(tabsync_database())
    return workspace, take(workspace)


@pytest.fixture
def pem(directory: Path) -> tuple[Path, str]:
    """A signing key and its public half."""
    return directory / "signing.pem", new_signing_key(directory / "signing.pem")


def trusting(workspace: Workspace, pem: tuple[Path, str]) -> Workspace:
    return replace(workspace, keys=Keys(signing=pem[0], trusted=(pem[1],)), _open={})


def done(workspace: Workspace, plan: Plan) -> Outcome:
    outcome = run(plan, workspace, workspace.journal())
    outcome.raise_if_failed()
    return outcome


def rewritten(workspace: Workspace, backup: str, **changed: str) -> None:
    """Forge a manifest as whoever can write to the store could: its own digest is right."""
    path = workspace.store_root / "manifests" / f"{backup}.json"
    path.write_bytes(replace(read_manifest(backup, path.read_bytes()), **changed).to_bytes())  # type: ignore[arg-type]


def test_what_was_taken_before_trusted_keys_counts_again(
    unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str], directory: Path
) -> None:
    host, backup = trusting(unsigned[0], pem), unsigned[1].id
    with pytest.raises(ProblemFound, match="is not signed") as raised:
        host.store().manifest(backup)
    assert "tabsync backup sign" in raised.value.hint
    with pytest.raises(Refused, match="nothing was deleted"):
        survey(host)
    plan = plan_sign(host)
    assert f"{backup}, {unsigned[1].source['database']}: this ledger recorded" in plan.steps[1].preview
    assert done(host, plan).results["sign"]["signed"] == [backup]
    assert host.store().manifest(backup) == unsigned[1]
    assert plan_sign(host).steps == ()
    assert done(host, plan_verify(host, [backup])).results["read"]["backups"][0]["signed"]
    assert len(survey(host).backups) == 1
    second = directory / "second"
    done(host, plan_copy(host, backup, str(second)))
    assert host.store(str(second)).manifest(backup).id == backup


def test_a_retired_key(unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str], directory: Path) -> None:
    old = trusting(unsigned[0], pem)
    backup = take(old).id
    new = trusting(unsigned[0], (directory / "new.pem", new_signing_key(directory / "new.pem")))
    with pytest.raises(ProblemFound, match="does not trust"):
        new.store().manifest(backup)
    assert set(done(new, plan_sign(new)).results["sign"]["signed"]) == {backup, unsigned[1].id}
    assert new.store().manifest(backup).id == old.store().manifest(backup).id == backup


def test_it_can_be_done_before_any_key_is_trusted(unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]) -> None:
    first = replace(unsigned[0], keys=Keys(signing=pem[0]), _open={})
    done(first, plan_sign(first))
    assert plan_sign(first).steps == ()
    assert trusting(unsigned[0], pem).store().manifests()[1] == []


def test_what_the_ledger_does_not_know_must_be_named(
    unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str], directory: Path
) -> None:
    stranger = replace(
        trusting(unsigned[0], pem), home=directory / "elsewhere", ledger_url=f"sqlite:///{directory}/other.db", _open={}
    )
    assert plan_sign(stranger).steps == ()
    plan = plan_sign(stranger, [unsigned[1].id])
    assert "UNKNOWN to this ledger" in plan.steps[1].preview
    assert done(stranger, plan).results["sign"]["signed"] == [unsigned[1].id]


def test_a_forged_manifest_is_not_signed(unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]) -> None:
    host, backup = trusting(unsigned[0], pem), unsigned[1].id
    plan = plan_sign(host)
    rewritten(host, backup, reason="emergency")
    for ids in ((), (backup,)):
        with pytest.raises(Refused, match="not the one that was written when the backup was taken here"):
            plan_sign(host, ids)
    outcome = run(plan, host, host.journal())  # forged after the plan was made
    assert isinstance(outcome.error, Refused) and "has changed since" in outcome.error.fact
    assert host.store().markers("signatures") == {}


def test_a_manifest_that_was_changed_after_it_was_signed(
    unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]
) -> None:
    host = trusting(unsigned[0], pem)
    backup = take(host).id
    rewritten(host, backup, reason="emergency")
    with pytest.raises(Refused, match="has a signature that is not valid"):
        plan_sign(host, [backup])


def test_a_signature_beside_it_is_checked_like_the_one_inside(
    unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]
) -> None:
    host, backup = trusting(unsigned[0], pem), unsigned[1].id
    done(host, plan_sign(host))
    [(name, good)] = host.store().markers("signatures").items()
    path = host.store_root / "signatures" / f"{name}.json"
    for bad in (b"", b"[]", b"{}", json.dumps(json.loads(good) | {"value": "AAAA"}).encode()):
        path.write_bytes(bad)
        with pytest.raises(ProblemFound, match="is not signed"):
            host.store().manifest(backup)
    path.write_bytes(good)
    rewritten(host, backup, reason="emergency")  # it vouches for what was signed, and for nothing else
    with pytest.raises(ProblemFound, match="is not signed"):
        host.store().manifest(backup)


def test_nothing_is_signed_when_an_object_is_damaged(
    unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]
) -> None:
    host = trusting(unsigned[0], pem)
    users = next(file for file in unsigned[1].files if file.table == "users")
    LocalStore(host.store_root).object_path(users.object).unlink()
    outcome = run(plan_sign(host), host, host.journal())
    assert isinstance(outcome.error, ProblemFound) and "users" in outcome.error.fact
    assert host.store().markers("signatures") == {}


def test_without_a_key_that_is_trusted(unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str]) -> None:
    with pytest.raises(BadUsage, match="no key to sign with"):
        plan_sign(unsigned[0])
    host = replace(unsigned[0], keys=Keys(signing=pem[0], trusted=("ed25519:" + "A" * 43 + "=",)), _open={})
    with pytest.raises(NotAllowed, match="does not trust the key"):
        plan_sign(host)
    with pytest.raises(BadUsage, match="no backup 'nothing'"):
        plan_sign(trusting(unsigned[0], pem), ["nothing"])


def test_the_signature_of_a_pruned_backup_goes_with_it(
    workspaces: Callable[..., Workspace], pem: tuple[Path, str]
) -> None:
    workspace = workspaces("host=127.0.0.1 port=1 dbname=shop")
    for name, days in (("expired", 200), ("expired.not", 2), ("fresh", 1)):
        fabricate(LocalStore(workspace.store_root), name, datetime.now(UTC) - timedelta(days=days), name.encode())
    host = trusting(workspace, pem)
    done(host, plan_sign(host, ["expired", "expired.not", "fresh"]))
    prune(host).raise_if_failed()
    assert host.store().ids() == ["expired.not", "fresh"]
    assert [name.rpartition(".")[0] for name in host.store().markers("signatures")] == ["expired.not", "fresh"]


def test_the_command(unsigned: tuple[Workspace, Manifest], pem: tuple[Path, str], directory: Path) -> None:
    workspace, stranger = unsigned
    place = directory / "place"
    place.mkdir()
    config = f'database = "{workspace.conninfo}"\nstore = "{workspace.store_root}"\n'
    (place / "tabsync.toml").write_text(config)
    taken = tabsync(place, "backup", "take", "schema", "--json").json["id"]
    trusted = f'trusted_keys = ["{pem[1]}"]\nsigning_key = "{pem[0]}"\n'
    (place / "tabsync.toml").write_text(config + trusted)
    listed = tabsync(place, "backup", "list")
    assert (listed.code, listed.err.count("is not signed"), listed.err.count("hint: ")) == (1, 2, 1)
    assert "tabsync backup sign ID" in tabsync(place, "backup", "prune").err
    planned = tabsync(place, "backup", "sign", "--dry-run")
    assert planned.code == 0 and taken in planned.out and stranger.id not in planned.out
    done = tabsync(place, "backup", "sign")
    assert (done.code, done.out) == (0, f"Signed: {taken}.\n")
    assert f"{stranger.id} is not signed" in done.err
    again = tabsync(place, "backup", "sign", stranger.id, "--json").json
    assert (again["signed"], again["left"]) == ([stranger.id], [])
    assert tabsync(place, "backup", "sign").out == "There was nothing to sign.\n"
    assert tabsync(place, "backup", "list").code == 0
