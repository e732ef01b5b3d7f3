"""The local store: a backup is there entirely or not at all, under its own id, and harm to it is found."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage, FailedPartway, ProblemFound, Refused
from tabsync.stores.local import LocalStore
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.store import digest_of, digests_of
from tabsync.system.claims import claim
from tests.conftest import missing

TIME = "2026-11-22T18:15:0{}+00:00"


@pytest.fixture
def store(directory: Path) -> LocalStore:
    store = LocalStore(directory / "store")
    store.prepare()
    return store


def adopted(store: LocalStore, content: bytes) -> StoredFile:
    path = store.staging("making")
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    store.adopt(path, digest)
    return StoredFile(f"{digest[:4]}.dat", digest, len(content), "public", "t")


def manifest(backup: str, *files: StoredFile, second: int = 0, database: str = "shop") -> Manifest:
    source = {"database": database, "system_identifier": "73"}
    at = TIME.format(second)
    return Manifest(backup, "full", "manual", at, at, {"time": at, "lsn": "0/1"}, source, {}, {}, files)


def test_a_backup_is_read_as_it_was_committed(store: LocalStore) -> None:
    one = manifest("b1", adopted(store, b"rows"), adopted(store, b"more rows"))
    assert store.ids() == []
    store.commit(one)
    assert store.ids() == ["b1"]
    assert store.manifest("b1") == one
    assert store.manifests() == ([one], [])
    assert list(store.damaged(one)) == []
    assert list((store.root / "staging").iterdir()) == []
    assert store.object_path(one.files[0].digest).stat().st_mode & 0o777 == 0o400
    assert (store.root / "manifests").stat().st_mode & 0o077 == 0


def test_an_id_is_given_once(store: LocalStore) -> None:
    first = manifest("b1", adopted(store, b"first"))
    store.commit(first)
    with pytest.raises(Refused, match="b1 already exists"):
        store.commit(manifest("b1", adopted(store, b"second")))
    assert store.manifest("b1") == first
    assert list((store.root / "staging").iterdir()) == []


def test_nothing_is_seen_before_everything_is_on_disk(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def watching(fd: int) -> None:
        if not Path("/proc/self/fd").exists():
            missing("/proc")
        flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(store.root)))
        if flushed[-1] != "manifests":
            assert store.ids() == []
        real(fd)

    monkeypatch.setattr("tabsync.stores.local.os.fsync", watching)
    one = manifest("b1", adopted(store, b"rows"))
    assert flushed == ["staging/making"]  # before the object has its name
    store.commit(one)
    # Then the directory that names it, the manifest, and last the directory that names the manifest.
    assert flushed[1:3] == [f"objects/{one.files[0].digest[:2]}", "objects"]
    assert flushed[3].startswith("staging/.b1-")
    assert flushed[4:] == ["manifests"]


def test_a_commit_that_fails_leaves_nothing(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one = manifest("b1", adopted(store, b"rows"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tabsync.stores.local.os.link", full)
    with pytest.raises(FailedPartway, match="No space left on device; no backup was recorded") as failed:
        store.commit(one)
    assert "free some space" in failed.value.hint
    assert store.ids() == []
    assert list((store.root / "staging").iterdir()) == []


def test_an_object_that_rotted_is_mended_by_the_next_backup(store: LocalStore) -> None:
    one = adopted(store, b"rows")
    path = store.object_path(one.digest)
    path.chmod(0o600)
    path.write_bytes(b"rots")
    assert [why for _, why in store.damaged(manifest("b1", one))] == ["does not match its digest"]
    assert adopted(store, b"rows") == one
    assert list(store.damaged(manifest("b1", one))) == []


def test_harm_is_named_file_by_file(store: LocalStore) -> None:
    files = [adopted(store, content) for content in (b"good", b"short", b"gone")]
    paths = [store.object_path(file.digest) for file in files]
    paths[1].chmod(0o600)
    paths[1].write_bytes(b"shor")
    paths[2].unlink()
    assert [(file.name, why) for file, why in store.damaged(manifest("b1", *files))] == [
        (files[1].name, "has 4 bytes instead of 5"),
        (files[2].name, "is missing"),
    ]


def test_the_newest_is_the_one_with_the_newest_snapshot(store: LocalStore) -> None:
    for backup, second, database in (("z", 1, "shop"), ("a", 3, "shop"), ("m", 5, "other")):
        store.commit(manifest(backup, second=second, database=database))
    assert store.find("latest").id == "m"
    assert store.find("latest", "73/shop").id == "a"
    assert store.find("z", "73/other").id == "z"  # an id is an id
    with pytest.raises(BadUsage, match="no backup of this database"):
        store.find("latest", "74/shop")
    assert [one.id for one in store.manifests()[0]] == ["z", "a", "m"]


def test_a_damaged_manifest_is_listed_as_such_and_the_others_stay(store: LocalStore) -> None:
    store.commit(manifest("good"))
    (store.root / "manifests" / "bad.json").write_text('{"version": 1}')
    good, bad = store.manifests()
    assert [one.id for one in good] == ["good"]
    assert [one.fact for one in bad] == ["the manifest of backup bad is corrupt"]
    assert store.find("latest").id == "good"
    with pytest.raises(ProblemFound, match="corrupt"):
        store.find("bad")
    (store.root / "manifests" / "good.json").unlink()
    with pytest.raises(BadUsage, match="1 can't be read"):
        store.find("latest")


@pytest.mark.parametrize("backup", ["../outside", "a/b", "/etc/passwd", ".", "..", ".hidden", "nothing", "x" * 300, ""])
def test_what_is_no_id_of_a_backup_finds_nothing(store: LocalStore, directory: Path, backup: str) -> None:
    store.commit(manifest("b1"))
    (directory / "store" / "outside.json").write_bytes(manifest("outside").to_bytes())
    with pytest.raises(BadUsage):
        store.find(backup)


def test_a_sweep_takes_only_what_nobody_holds(store: LocalStore) -> None:
    held = claim(store.staging("living"))
    assert held is not None
    (store.staging("orphan") / "dump").mkdir(parents=True)
    (store.staging("orphan") / "dump" / "toc.dat").touch()
    assert store.sweep() == ["orphan"]
    assert [path.name for path in (store.root / "staging").iterdir()] == ["living"]
    held.release()
    assert store.sweep() == ["living"]
    assert LocalStore(store.root / "nowhere").sweep() == []


def test_a_sweep_takes_a_file_that_a_killed_process_was_writing(store: LocalStore) -> None:
    staging = store.root / "staging"
    for name, age in ((".old-0123", 3700), (".young-0123", 60)):
        (staging / name).touch()
        os.utime(staging / name, (time.time() - age,) * 2)
    assert store.sweep() == [".old-0123"]
    assert [path.name for path in staging.iterdir()] == [".young-0123"]


@pytest.mark.parametrize("kind", ["file", "below a file", "read-only"])
def test_a_store_that_cannot_be_written_is_refused(directory: Path, kind: str) -> None:
    root = directory / "store"
    if kind == "read-only":
        if os.geteuid() == 0:
            root = Path("/proc/tabsync-store")  # root may write anywhere but here
        else:
            root.mkdir(mode=0o500)
    else:
        root.write_text("a file")
        root = root / "store" if kind == "below a file" else root
    with pytest.raises(Refused, match="can't write to the store") as refused:
        LocalStore(root).prepare()
    assert "--store" in refused.value.hint
    assert LocalStore(root).ids() == []
    if kind != "read-only":
        with pytest.raises(Refused, match="can't write to the store"):
            LocalStore(root).look()


def test_digests_keep_the_order_of_the_files(directory: Path) -> None:
    paths = [directory / f"{number}" for number in range(20)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * (20 - number) * 1000)
    assert digests_of(paths) == [digest_of(path) for path in paths]
    assert digest_of(paths[3]) == hashlib.sha256(paths[3].read_bytes()).hexdigest()


def test_an_empty_store_is_empty(directory: Path) -> None:
    store = LocalStore(directory / "none")
    assert (store.ids(), store.manifests()) == ([], ([], []))
    assert store.url == f"file://{directory}/none"
    with pytest.raises(BadUsage, match="no backup"):
        store.find("latest")


def test_an_object_is_deleted_by_its_age_and_a_new_dump_makes_it_young(store: LocalStore) -> None:
    file = adopted(store, b"rows")
    path, past, now = store.object_path(file.digest), datetime.now(UTC) - timedelta(days=9), datetime.now(UTC)
    assert [(one.digest, one.bytes) for one in store.objects()] == [(file.digest, 4)]
    assert not store.delete_object(file.digest, now - timedelta(days=1))
    os.utime(path, (past.timestamp(), past.timestamp()))
    staged = store.staging("again")
    staged.write_bytes(b"rows")
    os.utime(staged, (past.timestamp(), past.timestamp()))  # a file that pg_dump finished long before the last one
    store.adopt(staged, file.digest)
    assert not store.delete_object(file.digest, now - timedelta(days=1))
    os.utime(path, (past.timestamp(), past.timestamp()))
    assert store.delete_object(file.digest, now - timedelta(days=1))
    assert not store.delete_object(file.digest, now)
    assert list(store.objects()) == []


def test_a_deleted_backup_is_gone_and_its_objects_are_not(store: LocalStore) -> None:
    file = adopted(store, b"rows")
    store.commit(manifest("b1", file))
    assert store.delete_manifest("b1")
    assert not store.delete_manifest("b1")
    assert (store.ids(), len(list(store.objects()))) == ([], 1)


def test_a_marker_is_created_once(store: LocalStore) -> None:
    assert store.markers("holds") == {}
    assert store.put_marker("holds", "b1", b"one")
    assert not store.put_marker("holds", "b1", b"two")
    assert store.markers("holds") == {"b1": b"one"}
    assert store.delete_marker("holds", "b1")
    assert not store.delete_marker("holds", "b1")
    assert list((store.root / "holds").iterdir()) == []


@pytest.mark.parametrize("folder", ["manifests", "holds"])
def test_a_folder_that_cannot_be_read_is_not_an_empty_one(store: LocalStore, folder: str) -> None:
    path = store.root / folder
    if path.exists():
        path.rename(store.root / "away")
    path.write_text("as unreadable for root as for anybody")
    with pytest.raises(Refused, match=f"can't read the store .*{folder}"):
        store.ids() if folder == "manifests" else store.markers(folder)
