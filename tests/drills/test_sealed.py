"""Encrypted backups and signed manifests: who can't read them, and what is found before anything is touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import obstore
import pyrage
import pytest

from tabsync.backups.drill.drill import plan_drill, run_drill
from tabsync.backups.restore.new import plan_restore_new
from tabsync.backups.take import plan_take
from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, TabsyncError
from tabsync.kernel.runner import run
from tabsync.kernel.step import Facts
from tabsync.manual.load import load
from tabsync.stores.keys import Keys, new_signing_key
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest
from tabsync.stores.remote import RemoteStore
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.drills.test_restore import databases_of

Make = Callable[..., Workspace]


@pytest.fixture
def identity(directory: Path) -> Path:
    """A new identity of age in a file."""
    path = directory / "identity"
    path.write_text(f"# made by a test\n{pyrage.x25519.Identity.generate()}\n")
    return path


def recipient_of(identity: Path) -> str:
    return str(pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[1]).to_public())


@pytest.fixture
def sealed(tabsync_database: Callable[[], str], workspaces: Make, identity: Path) -> Workspace:
    """A workspace that encrypts for an identity it doesn't have."""
    return replace(workspaces(tabsync_database()), keys=Keys((recipient_of(identity),)))


def take(workspace: Workspace) -> Manifest:
    outcome = run(plan_take(workspace, "full", "manual"), workspace, workspace.journal())
    outcome.raise_if_failed()
    return workspace.store().manifest(outcome.results["commit"]["backup"])


def reading(workspace: Workspace, identity: Path) -> Workspace:
    """The same workspace on a host that has an identity."""
    return replace(workspace, keys=replace(workspace.keys, identity=identity), _open={})


def objects_of(workspace: Workspace) -> list[Path]:
    return [path for path in (workspace.store_root / "objects").glob("??/*") if path.is_file()]


def test_nothing_in_the_store_is_readable_and_the_copy_is_proven(sealed: Workspace, identity: Path) -> None:
    manifest = take(sealed)
    assert all(path.read_bytes().startswith(b"age-encryption.org/v1") for path in objects_of(sealed))
    assert {path.name for path in objects_of(sealed)} == {file.sealed for file in manifest.files}
    assert list(sealed.store().damaged(manifest)) == []  # without any identity
    host = reading(sealed, identity)
    report = run_drill(host, plan_drill(host, load(host.manual_path), manifest.id))
    assert report.data["verdict"]["content"] == "identical", report.data["error"]


def test_the_host_that_takes_backups_cannot_read_them(sealed: Workspace, identity: Path, directory: Path) -> None:
    manifest = take(sealed)
    before = databases_of(sealed)
    with pytest.raises(NotAllowed, match="identity"):
        plan_restore_new(sealed, manifest.id)
    stranger = directory / "stranger"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(NotAllowed, match="encrypted for other recipients"):
        plan_restore_new(reading(sealed, stranger), manifest.id)
    with pytest.raises(NotAllowed, match="identity"):
        plan_drill(sealed, load(sealed.manual_path), manifest.id)
    with pytest.raises(NotAllowed, match="identity"):
        plan_drill(sealed, load(sealed.manual_path))  # not after a backup was taken for it
    assert databases_of(sealed) == before


def test_a_file_that_has_not_changed_is_stored_once(sealed: Workspace) -> None:
    first = take(sealed)
    stored = len(objects_of(sealed))
    run_sql(sealed.conninfo, "update users set full_name = full_name || '!' where id = (select id from users limit 1)")
    second = take(sealed)
    new = {file.sealed for file in second.files} - {file.sealed for file in first.files}
    changed = {file.table for file in second.files if file.sealed in new}
    assert "users" in changed <= {"users", ""}  # "": the table of contents, which holds the time of the dump
    assert len(objects_of(sealed)) == stored + len(new)


def test_for_other_recipients_everything_is_encrypted_anew(sealed: Workspace, directory: Path) -> None:
    first = take(sealed)
    other = directory / "other"
    other.write_text(f"# another\n{pyrage.x25519.Identity.generate()}\n")
    host = replace(sealed, keys=Keys((recipient_of(other),), other), _open={})
    second = take(host)
    assert not {file.sealed for file in first.files} & {file.sealed for file in second.files}
    assert host.store().place(second.files[0], directory / "back") == ""


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "swap", "swap digests too"])
def test_harm_is_found_before_the_target_is_touched(sealed: Workspace, identity: Path, harm: str) -> None:
    manifest = take(sealed)
    host = reading(sealed, identity)
    store = LocalStore(sealed.store_root)
    users, orders = (next(file for file in manifest.files if file.table == name) for name in ("users", "orders"))
    path, other = store.object_path(users.sealed), store.object_path(orders.sealed)
    path.chmod(0o600)
    if harm == "flip":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "remove":
        path.unlink()
    elif harm == "swap":
        shutil.copyfile(other, path)
    else:  # whoever can write the store can write a manifest that fits, unless manifests are signed
        rewrite(store, manifest, lambda file: file | {"sealed": orders.sealed, "sealed_bytes": orders.sealed_bytes})
    before = databases_of(host)
    outcome = run(plan_restore_new(host, manifest.id), host, host.journal())
    assert isinstance(outcome.error, ProblemFound)
    assert "users" in outcome.error.fact
    assert databases_of(host) == before


def rewrite(store: LocalStore, manifest: Manifest, change: Callable[[Facts], Facts]) -> None:
    """Forge a manifest: change what it says of users, and set its digest right."""
    files = tuple(type(file)(**change(file.to_json())) if file.table == "users" else file for file in manifest.files)
    path = store.root / "manifests" / f"{manifest.id}.json"
    path.write_bytes(replace(manifest, files=files).to_bytes())


def test_only_manifests_with_our_signature_are_believed(
    tabsync_database: Callable[[], str], workspaces: Make, directory: Path
) -> None:
    public = new_signing_key(directory / "signing.pem")
    assert (directory / "signing.pem").stat().st_mode & 0o777 == 0o600
    keys = Keys(signing=directory / "signing.pem", trusted=(public,))
    signing = replace(workspaces(tabsync_database()), keys=keys)
    manifest = take(signing)
    assert signing.store().manifest(manifest.id).signature["key"] == public
    store = LocalStore(signing.store_root)
    for forged, told in (
        ({"bytes": 1}, "signature that is not valid"),
        ({"digest": manifest.files[0].digest}, "signature that is not valid"),
    ):
        rewrite(store, manifest, lambda file, forged=forged: file | forged)  # type: ignore[misc]
        assert store.manifest(manifest.id).id  # nobody who asks for no signature sees it
        with pytest.raises(ProblemFound, match=told):
            signing.store().manifest(manifest.id)
    path = store.root / "manifests" / f"{manifest.id}.json"
    path.write_bytes(replace(manifest, signature={}).to_bytes())
    with pytest.raises(ProblemFound, match="is not signed"):
        signing.store().manifest(manifest.id)
    stranger = new_signing_key(directory / "stranger.pem")
    other = LocalStore(signing.store_root, keys=Keys(signing=directory / "stranger.pem"))
    path.write_bytes(manifest.to_bytes(other.keys.sign))
    assert stranger != public
    with pytest.raises(ProblemFound, match="does not trust"):
        signing.store().manifest(manifest.id)


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (Keys(("age1nonsense",)), BadUsage),
        (Keys(("ssh-ed25519 nonsense",)), BadUsage),
        (Keys(signing=Path("/nonexistent/key")), NotAllowed),
        (Keys(trusted=("ed25519:AAAA",)), BadUsage),
    ],
)
def test_a_key_that_is_none_is_refused_before_anything_begins(
    tabsync_database: Callable[[], str], workspaces: Make, keys: Keys, error: type[TabsyncError]
) -> None:
    workspace = replace(workspaces(tabsync_database()), keys=keys)
    with pytest.raises(error):
        plan_take(workspace, "full", "manual")
    assert not workspace.store_root.exists()


def test_an_encrypted_backup_goes_to_an_object_store_and_back(
    sealed: Workspace, identity: Path, address: str, directory: Path
) -> None:
    away = replace(sealed, store_url=address, _open={})
    manifest = take(away)
    store = away.store()
    assert isinstance(store, RemoteStore)
    for file in manifest.files:
        content = obstore.get(store._client, f"objects/{file.sealed[:2]}/{file.sealed}").bytes().to_bytes()
        assert content.startswith(b"age-encryption.org/v1")
    host = reading(away, identity)
    report = run_drill(host, plan_drill(host, load(host.manual_path), manifest.id))
    assert report.data["verdict"]["content"] == "identical", report.data["error"]
    assert not list((sealed.home / "staging").glob("*"))
