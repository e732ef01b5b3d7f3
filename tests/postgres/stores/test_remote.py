"""Remote stores when things go wrong: what is said, within what time, and that nothing half-made is ever listed."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.list import list_backups
from tabsync.backups.prune import plan_prune, survey
from tabsync.backups.take import plan_take_full
from tabsync.kernel.errors import CannotConnect, Exit, FailedPartway, NotAllowed, TabsyncError
from tabsync.kernel.runner import run
from tabsync.manual.load import load
from tabsync.stores import clients, remote
from tabsync.stores.open import open_store
from tabsync.stores.store import object_name
from tabsync.system.consume import consumed
from tabsync.workspace import Workspace
from tests import emulators
from tests.conftest import Databases, run_sql
from tests.postgres.stores.conftest import Harm
from tests.postgres.stores.test_contract import adopted, manifest
from tests.whole import whole

both = pytest.mark.parametrize("kind", ["az", "s3"])


def taken(workspace: Workspace) -> BaseException | None:
    """Take a backup; returns the error, if any."""
    try:
        return run(plan_take_full(workspace), workspace, workspace.journal(), None).error
    except TabsyncError as error:
        return error


@both
def test_a_plan_writes_nothing_into_the_store(
    address: str, databases: Databases, workspaces: Callable[..., Workspace], directory: Path
) -> None:
    workspace = replace(workspaces(databases()), store_url=address)
    plan_take_full(workspace)
    store = open_store(address, directory / "look")
    assert isinstance(store, remote.RemoteStore)
    assert list(obstore.list(store._client)) == []


@both
def test_the_whole_way(
    address: str,
    harm: Harm,
    tabsync_database: Callable[[], str],
    workspaces: Callable[..., Workspace],
) -> None:
    workspace = replace(workspaces(tabsync_database()), store_url=address)
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path)))
    assert (report.data["error"], report.data["verdict"]["content"]) == (None, "identical")
    assert report.data["store"] == address
    assert [row["id"] for row in list_backups(workspace)[0]] == [report.data["backup"]]
    assert list((workspace.home / "staging").iterdir()) == []
    files = {file.table: file for file in workspace.store().find("latest").files}
    harm(workspace.store(), object_name(files["payments"].digest), b"rotten")
    harm(workspace.store(), object_name(files["users"].digest), None)
    again = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), "latest"))
    assert again.exit_code == Exit.PROBLEM_FOUND
    assert "table public.payments: object" in again.data["error"]["fact"]
    assert "table public.users: object" in again.data["error"]["fact"]
    assert list(workspace.scratch().iterdir()) == []


@both
def test_a_container_that_is_not_there(emulator: emulators.Emulator, directory: Path) -> None:
    store = open_store(f"{emulator.scheme}://nowhere/x", directory)
    for ask in (store.prepare, store.ids, lambda: store.manifest("b1"), lambda: store.find("latest")):
        with pytest.raises(CannotConnect, match=r"there is no (container|bucket) 'nowhere'") as told:
            ask()
        assert told.value.hint.startswith("create the")


@both
def test_wrong_credentials(
    kind: str, address: str, emulator: emulators.Emulator, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
    if kind == "az":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", secret)
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7NOBODYS")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        _check_signatures(emulator, after=0)
    try:
        store = open_store(address, directory)
        for ask in (store.prepare, store.ids):
            with pytest.raises(NotAllowed, match="rejects the credentials") as told:
                ask()
            assert told.value.__cause__ is None
            assert secret not in f"{told.value.fact} {told.value.hint}"
    finally:
        if kind == "s3":
            _check_signatures(emulator, after=1_000_000)


def _check_signatures(moto: emulators.Emulator, after: int) -> None:
    """https://docs.getmoto.org/en/latest/docs/iam.html"""
    moto.send("POST", "/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"})


@pytest.mark.parametrize("scheme", ["az", "s3", "gs"])
def test_without_credentials_the_variables_are_named(
    scheme: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme == "az":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "nobody")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "not base64, and a secret")
        with pytest.raises(NotAllowed, match="no valid credentials") as told:
            open_store("az://backups", directory).prepare()
        assert "AZURE_STORAGE_ACCOUNT_NAME" in told.value.hint
        assert "a secret" not in str(told.value)
    if scheme == "gs":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(directory / "none.json"))
        with pytest.raises(NotAllowed, match="no valid credentials") as told:
            open_store("gs://backups", directory).prepare()
        assert "GOOGLE_APPLICATION_CREDENTIALS" in told.value.hint


@pytest.mark.parametrize("kind", ["az"])
def test_azure_as_its_own_command_line_names_it(
    emulator: emulators.Emulator, address: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ours, theirs in (("ACCOUNT_NAME", "ACCOUNT"), ("ACCOUNT_KEY", "KEY")):
        monkeypatch.delenv(f"AZURE_STORAGE_{ours}")
        monkeypatch.setenv(f"AZURE_STORAGE_{theirs}", emulator.environment[f"AZURE_STORAGE_{ours}"])
    store = open_store(address, directory)
    store.prepare()
    assert store.ids() == []


def _elsewhere(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in (emulators.moto().environment | {"AWS_ENDPOINT_URL": endpoint}).items():
        monkeypatch.setenv(name, value)


def test_where_nobody_listens(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _elsewhere(monkeypatch, f"http://127.0.0.1:{emulators.free_port()}")
    started = time.monotonic()
    with pytest.raises(CannotConnect, match="can't be reached"):
        open_store("s3://backups", directory).prepare()
    assert time.monotonic() - started < 10


def test_a_server_that_never_answers_is_given_up_on(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BRIEF", clients.Patience(request=0.3, again=0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _elsewhere(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(CannotConnect, match="can't be reached"):
            open_store("s3://backups", directory).prepare()


def test_nothing_goes_unencrypted_to_another_machine(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _elsewhere(monkeypatch, "http://store.invalid:9000")
    with pytest.raises(NotAllowed, match="unencrypted") as told:
        open_store("s3://backups", directory).prepare()
    assert told.value.hint.endswith("AWS_ALLOW_HTTP=true")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(CannotConnect, match="can't be reached"):
        open_store("s3://backups", directory).prepare()


@whole
def test_a_server_killed_in_mid_upload(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = random.Random(1).randbytes(64 << 20)
    digest = hashlib.sha256(content).hexdigest()
    staged = directory / "big.dat"
    staged.write_bytes(content)
    with emulators.running("s3") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.make_container("backups")
        store = open_store("s3://backups/x", directory / "staging")
        store.prepare()

        def killing(path: Path, block: int) -> Iterator[bytes]:
            for number, data in enumerate(consumed(path, block)):
                if number == 1:
                    server.kill()
                yield data

        monkeypatch.setattr(remote, "consumed", killing)
        with pytest.raises(CannotConnect, match=r"can't be reached; no backup was recorded"):
            store.adopt(staged, digest)
        assert not staged.exists()  # a part of it was given back to the disk
        monkeypatch.setattr(remote, "consumed", consumed)
        staged.write_bytes(content)
        server.start()
        server.make_container("backups")
        assert store.ids() == []
        assert list(store.objects()) == []
        store.adopt(staged, digest)
        file = adopted(store, b"rows")
        store.commit(manifest("b1", file))
        assert store.ids() == ["b1"]


@both
def test_a_backup_whose_object_went_away_meanwhile_is_not_recorded(
    kind: str, address: str, directory: Path, harm: Harm
) -> None:
    store = open_store(address, directory / "staging")
    store.prepare()
    file = adopted(store, b"rows")
    harm(store, object_name(file.digest), None)
    with pytest.raises(FailedPartway, match="disappeared from"):
        store.commit(manifest("b1", file))
    assert store.ids() == []


@pytest.mark.parametrize("kind", ["s3"])
def test_an_object_that_a_new_backup_counts_on_is_not_sent_again_and_stays(
    address: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(address, directory / "staging")
    store.prepare()
    file = adopted(store, b"rows")
    time.sleep(1.1)  # ages count in seconds
    counted = datetime.now(UTC)
    sent = _watch(monkeypatch)
    adopted(store, b"rows")
    assert [name for call, name in sent if call == "put"] == [f"pins/{file.digest}"]
    assert not store.delete_object(file.digest, counted.replace(microsecond=0))
    assert list(store.damaged(manifest("b1", file))) == []
    assert store.delete_object(file.digest, datetime.now(UTC) + timedelta(minutes=1))


def _watch(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every call to the store from now on."""
    calls: list[tuple[str, str]] = []
    _wrap(monkeypatch, lambda call, name: calls.append((call, name)), lambda: None)
    return calls


def _wrap(monkeypatch: pytest.MonkeyPatch, before: Callable[[str, str], None], after: Callable[[], None]) -> None:
    class Wrapped:
        def __getattr__(self, call: str) -> Any:
            def ask(client: Any, name: str, *rest: Any, **options: Any) -> Any:
                before(call, name)
                try:
                    return getattr(obstore, call)(client, name, *rest, **options)
                finally:
                    after()

            return ask

    monkeypatch.setattr(remote, "obstore", Wrapped())


@pytest.mark.parametrize("kind", ["s3"])
@pytest.mark.parametrize("when", ["before it is done", "after it is done"])
def test_one_fault_at_every_call(
    when: str,
    address: str,
    databases: Databases,
    workspaces: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conninfo = databases()
    run_sql(conninfo, "create table t as select 1 as x")
    workspace = replace(workspaces(conninfo), store_url=address)
    lock, count, fail_at = threading.Lock(), 0, 1

    def fault() -> None:
        nonlocal count
        with lock:
            count += 1
            if count == fail_at:
                raise GenericError("injected, with a secret in it")

    in_front = when.startswith("before")
    _wrap(monkeypatch, lambda *_: fault() if in_front else None, lambda: None if in_front else fault())
    good: list[str] = []
    while True:
        count = 0
        error = taken(workspace)
        reached, count = count, 10_000
        ids = workspace.store().ids()
        if reached < fail_at:
            assert error is None
            break
        assert error is None or (isinstance(error, TabsyncError) and "secret" not in f"{error.fact} {error.hint}")
        # A backup that is listed is whole, whatever was said; one that was reported as taken is listed.
        for backup in ids:
            assert list(workspace.store().damaged(workspace.store().manifest(backup))) == []
        assert error is not None or len(ids) == len(good) + 1
        assert len(ids) <= len(good) + 1
        assert list((workspace.home / "staging").glob("*")) == []
        good, fail_at = ids, fail_at + 1
    assert fail_at > 8
    assert workspace.store().ids() != good  # the last one, without a fault, worked


@both
def test_a_prune_of_an_object_store(
    address: str,
    tabsync_database: Callable[[], str],
    workspaces: Callable[..., Workspace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = replace(workspaces(tabsync_database()), store_url=address)
    first = take(workspace)
    run_sql(workspace.conninfo, "delete from {}", "audit_logs")
    second = take(workspace)
    store = workspace.store()
    manifest = store.manifest(second)
    only_first = {file.digest for file in store.manifest(first).files} - {file.digest for file in manifest.files}
    later = datetime.now(UTC) + timedelta(days=100)
    monkeypatch.setattr("tabsync.kernel.clock.now", lambda: later)
    outcome = run(plan_prune(workspace, survey(workspace)), workspace, workspace.journal(), approval="--yes")
    outcome.raise_if_failed()
    assert outcome.results["forget"] == {"deleted": [first]}
    assert outcome.results["collect"]["objects"] == len(only_first)
    assert store.ids() == [second]
    assert not {one.digest for one in store.objects()} & only_first
    assert store.markers("leases") == {}
    monkeypatch.undo()
    report = run_drill(workspace, plan_drill(workspace, load(workspace.manual_path), second))
    assert report.data["verdict"]["content"] == "identical"


def take(workspace: Workspace) -> str:
    outcome = run(plan_take_full(workspace), workspace, workspace.journal())
    outcome.raise_if_failed()
    return str(outcome.results["commit"]["backup"])
