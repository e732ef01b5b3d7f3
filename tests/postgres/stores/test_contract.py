"""What every store keeps to, a directory as well as a container: a backup is there entirely or not at all."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage, NotAllowed, ProblemFound, Refused
from tabsync.stores.keys import Keys, new_identity
from tabsync.stores.manifest import Manifest, StoredFile
from tabsync.stores.open import open_store
from tabsync.stores.store import Store, object_name
from tests.postgres.stores.conftest import Harm

pytestmark = pytest.mark.parametrize("kind", ["file", "az", "s3"])

TIME = "2026-11-22T18:15:0{}+00:00"


def adopted(store: Store, content: bytes, table: str = "t") -> StoredFile:
    digest = hashlib.sha256(content).hexdigest()
    path = store.staging(f"making-{digest[:8]}.dat")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    store.adopt(path, digest)
    assert not path.exists()
    return StoredFile(f"{digest[:4]}.dat", digest, len(content), "public", table)


def manifest(
    backup: str, *files: StoredFile, second: int = 0, database: str = "shop", reason: str = "manual"
) -> Manifest:
    source = {"database": database, "system_identifier": "73"}
    at = TIME.format(second)
    return Manifest(backup, "full", reason, at, at, {"time": at, "lsn": "0/1"}, source, {}, {}, files)


def test_a_backup_is_read_as_it_was_committed(store: Store) -> None:
    one = manifest("b1", adopted(store, b"rows"), adopted(store, b"more rows"), adopted(store, b""))
    assert store.ids() == []
    store.commit(one)
    assert store.ids() == ["b1"]
    assert store.manifest("b1") == one
    assert store.manifests() == ([one], [])
    assert list(store.damaged(one)) == []


def test_files_come_back_under_their_names_once_they_are_verified(store: Store, directory: Path) -> None:
    large = bytes(range(256)) * (80 << 10)  # 20 MB: several parts up, two blocks down
    contents = [b"rows", large, b""]
    one = manifest("b1", *(adopted(store, content) for content in contents))
    store.commit(one)
    target = directory / "dump"
    target.mkdir()
    assert store.lay_out(one, target) == []
    assert [(target / file.name).read_bytes() for file in one.files] == contents
    assert len(list(target.iterdir())) == 3


def test_an_id_is_given_once(store: Store) -> None:
    first = manifest("b1", adopted(store, b"first"))
    store.commit(first)
    with pytest.raises(Refused, match="b1 already exists"):
        store.commit(manifest("b1", adopted(store, b"second")))
    assert store.manifest("b1") == first


def test_of_two_at_once_one_wins(store: Store) -> None:
    file = adopted(store, b"rows")
    contenders = [manifest("b1", file, reason=f"contender {number}") for number in range(6)]

    def commit(one: Manifest) -> str:
        try:
            store.commit(one)
        except Refused:
            return ""
        return one.reason

    with ThreadPoolExecutor(max_workers=6) as pool:
        winners = [reason for reason in pool.map(commit, contenders) if reason]
    assert len(winners) == 1
    assert store.manifest("b1").reason == winners[0]


def test_harm_is_named_file_by_file_and_no_such_file_appears(store: Store, directory: Path, harm: Harm) -> None:
    files = [adopted(store, content) for content in (b"good", b"flipped", b"short", b"gone")]
    one = manifest("b1", *files)
    store.commit(one)
    harm(store, object_name(files[1].digest), b"flippes")
    harm(store, object_name(files[2].digest), b"shor")
    harm(store, object_name(files[3].digest), None)
    told = [
        (files[1].name, "does not match its digest"),
        (files[2].name, "has 4 bytes instead of 5"),
        (files[3].name, "is missing"),
    ]
    assert [(file.name, why.split(" (")[0]) for file, why in store.damaged(one)] == told
    target = directory / "dump"
    target.mkdir()
    assert [(file.name, why.split(" (")[0]) for file, why in store.lay_out(one, target)] == told
    assert [path.name for path in target.iterdir()] == [files[0].name]


def test_what_was_cut_short_or_lost_comes_back_with_the_next_backup(store: Store, harm: Harm) -> None:
    files = [adopted(store, b"short"), adopted(store, b"gone")]
    harm(store, object_name(files[0].digest), b"shor")
    harm(store, object_name(files[1].digest), None)
    assert [adopted(store, b"short"), adopted(store, b"gone")] == files
    assert list(store.damaged(manifest("b1", *files))) == []


def test_a_manifest_that_cannot_be_read_is_told_and_the_others_stay(store: Store, harm: Harm) -> None:
    store.commit(manifest("good"))
    harm(store, "manifests/bad.json", b'{"version": 1}')
    harm(store, "manifests/newer.json", b'{"version": 2}')
    good, bad = store.manifests()
    assert [one.id for one in good] == ["good"]
    assert [one.fact.split(" of backup ")[1].split()[0] for one in bad] == ["bad", "newer"]
    assert store.find("latest").id == "good"
    with pytest.raises(ProblemFound, match="corrupt"):
        store.find("bad")


def test_the_newest_is_the_one_with_the_newest_snapshot(store: Store) -> None:
    for backup, second, database in (("z", 1, "shop"), ("a", 3, "shop"), ("m", 5, "other")):
        store.commit(manifest(backup, second=second, database=database))
    assert store.find("latest").id == "m"
    assert store.find("latest", "73/shop").id == "a"
    with pytest.raises(BadUsage, match="no backup of this database"):
        store.find("latest", "74/shop")


@pytest.mark.parametrize("backup", ["../outside", "a/b", ".", "..", "nothing", "x" * 300, "", "a\nb", "?", "%2e%2e"])
def test_what_is_no_id_of_a_backup_finds_nothing(store: Store, backup: str) -> None:
    with pytest.raises(BadUsage):
        store.find(backup)


def test_only_what_is_old_and_that_no_new_backup_counts_on_is_deleted(store: Store) -> None:
    file = adopted(store, b"rows")
    assert [(one.digest, one.bytes) for one in store.objects()] == [(file.digest, 4)]
    now = datetime.now(UTC)
    assert not store.delete_object(file.digest, now - timedelta(hours=1))
    assert not store.delete_object("0" * 64, now + timedelta(hours=1))
    assert store.delete_object(file.digest, now + timedelta(hours=1))
    assert list(store.objects()) == []


def test_a_manifest_is_deleted_once(store: Store) -> None:
    store.commit(manifest("b1"))
    assert store.delete_manifest("b1")
    assert not store.delete_manifest("b1")
    assert store.ids() == []


def test_a_marker_is_created_once(store: Store) -> None:
    assert store.markers("holds") == {}
    assert store.put_marker("holds", "b1", b"first")
    assert not store.put_marker("holds", "b1", b"second")
    assert store.markers("holds") == {"b1": b"first"}
    assert store.delete_marker("holds", "b1")
    assert not store.delete_marker("holds", "b1")
    assert store.ids() == []


def test_a_named_file_is_stored_once_and_never_replaced(store: Store, directory: Path) -> None:
    first, second, back = directory / "first", directory / "second", directory / "back"
    first.write_bytes(b"segment" * 1000)
    second.write_bytes(b"another")
    name = "wal/73/00000001/000000010000000000000001.zst"
    assert not store.get_file(name, back)
    assert store.put_file(name, first)
    assert not store.put_file(name, second)
    assert store.get_file(name, back)
    assert back.read_bytes() == first.read_bytes()
    assert [(one.name, one.bytes) for one in store.files("wal/73")] == [("00000001/000000010000000000000001.zst", 7000)]
    assert list(store.files("wal/7")) == []  # a folder, not the beginning of a name
    assert store.delete_file(name)
    assert not store.delete_file(name)
    assert list(store.files("wal")) == []


def test_named_files_are_encrypted_like_the_others(store: Store, directory: Path, kind: str) -> None:
    identity = directory / "identity"
    keys = Keys((new_identity(identity),))
    place = directory / "store" if kind == "file" else store.url
    closed = open_store(place, directory / "staging", keys)
    secret, back = directory / "secret", directory / "back"
    secret.write_bytes(b"what nobody else may read" * 100)
    assert closed.put_file("wal/1/a.zst", secret)
    assert not closed.put_file("wal/1/a.zst", secret)
    assert not store.put_file("wal/1/a.zst", secret)  # not beside the encrypted one either
    assert [one.name for one in closed.files("wal")] == ["1/a.zst"]
    assert store.fetch_file("wal/1/a.zst.age", back)
    assert b"nobody" not in back.read_bytes()
    back.unlink()
    with pytest.raises(NotAllowed, match="no identity"):
        closed.get_file("wal/1/a.zst", back)
    assert not back.exists()
    opened = open_store(place, directory / "staging", Keys(keys.recipients, identity))
    assert opened.get_file("wal/1/a.zst", back)
    assert back.read_bytes() == secret.read_bytes()
    assert closed.delete_file("wal/1/a.zst")


def test_an_object_counted_on_is_as_young_as_one_stored_now(store: Store) -> None:
    file = adopted(store, b"rows")
    assert not store.count_on("0" * 64, 4)
    assert not store.count_on(file.digest, file.bytes + 1)
    moment = datetime.now(UTC)
    time.sleep(1.1)  # S3 tells times in whole seconds
    assert store.count_on(file.digest, file.bytes)
    assert not store.delete_object(file.digest, moment)
    assert store.delete_object(file.digest, moment + timedelta(hours=1))


def test_a_backup_that_is_pruned_while_all_are_read_is_no_complaint(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = manifest("b1", adopted(store, b"rows"))
    store.commit(one)
    monkeypatch.setattr(type(store), "ids", lambda self: ["b0", "b1"])
    assert store.manifests() == ([one], [])
