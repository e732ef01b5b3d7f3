"""Manifests: what is written is read, and not a single byte of it may change unnoticed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import ProblemFound
from tabsync.stores.manifest import Manifest, StoredFile, read_manifest, subject_of

TEXT = st.text(max_size=10)
FACTS = st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.booleans(), max_size=3)
NAMES = st.from_regex(r"[a-z0-9_-][\w.-]{0,9}", fullmatch=True).filter(str.isascii)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
FILES = st.builds(StoredFile, name=NAMES, digest=DIGESTS, bytes=st.integers(0), schema=TEXT, table=TEXT)
MANIFESTS = st.builds(
    Manifest,
    id=TEXT,
    kind=TEXT,
    reason=TEXT,
    started_at=TEXT,
    finished_at=TEXT,
    snapshot=st.just({"time": "2026-11-22T18:15:01+00:00", "lsn": "0/1A2B3C"}),
    source=FACTS,
    database=FACTS,
    program=FACTS,
    files=st.lists(FILES, max_size=3).map(tuple),
    tables=st.lists(FACTS, max_size=2).map(tuple),
    foreign_keys=st.lists(FACTS, max_size=2).map(tuple),
    extensions=st.lists(FACTS, max_size=2).map(tuple),
    roles=st.lists(TEXT, max_size=3).map(tuple),
    tablespaces=st.lists(TEXT, max_size=2).map(tuple),
)

ONE = Manifest(
    id="20261122T181500Z-a1b2",
    kind="full",
    reason="manual",
    started_at="2026-11-22T18:15:00+00:00",
    finished_at="2026-11-22T18:15:09+00:00",
    snapshot={"time": "2026-11-22T18:15:01+00:00", "lsn": "0/1A2B3C"},
    source={"database": "Café \U0001f37d", "system_identifier": "7301", "version": "17.2"},
    database={"encoding": "UTF8", "bytes": 8_000_000, "locale": None},
    program={"pg_dump": "17.10", "zstd": True},
    files=(
        StoredFile("toc.dat", "ab" * 32, 4711),
        StoredFile("3001.dat.zst", "cd" * 32, 17, "public", 'odd "name"\n'),
    ),
    tables=({"schema": "public", "name": "t", "kind": "r", "estimated_rows": -1, "bytes": 8192},),
    roles=("waiter",),
)


@given(MANIFESTS)
def test_what_is_written_is_read(manifest: Manifest) -> None:
    assert read_manifest(manifest.id, manifest.to_bytes()) == manifest


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x10, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_goes_unnoticed(mask: int) -> None:
    content = ONE.to_bytes()
    noticed = 0
    for at in range(len(content)):
        flipped = content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :]
        try:
            # Only white space may change: what is read then is the same.
            assert read_manifest(ONE.id, flipped) == ONE, at
        except ProblemFound:
            noticed += 1
    assert noticed > len(content) * 0.7


@given(st.data())
def test_any_one_byte_changed_to_any_other(data: st.DataObject) -> None:
    content = bytearray(ONE.to_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProblemFound):
        assert read_manifest(ONE.id, bytes(content)) == ONE


@given(st.integers(0, len(ONE.to_bytes()) - 1))
def test_a_manifest_that_was_cut_off_is_damaged(length: int) -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest(ONE.id, ONE.to_bytes()[:length])


@given(st.binary(max_size=40) | st.recursive(st.none() | TEXT, st.lists).map(lambda v: json.dumps(v).encode()))
def test_anything_else_is_damaged(content: bytes) -> None:
    with pytest.raises(ProblemFound):
        read_manifest("x", content)


def test_a_deeply_nested_file_is_damaged() -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest("x", b"[" * 100_000)


def altered(**values: Any) -> bytes:
    return json.dumps(json.loads(ONE.to_bytes()) | values).encode()


def test_a_manifest_of_the_future_says_to_upgrade() -> None:
    with pytest.raises(ProblemFound, match="version 2; this program reads 1") as found:
        read_manifest(ONE.id, altered(version=2))
    assert found.value.hint == "upgrade tabsync"


def test_a_manifest_under_another_name_is_not_believed() -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest("another", ONE.to_bytes())


@pytest.mark.parametrize(
    "values", [{"unknown": 1}, {"files": 5}, {"files": [{"name": "x"}]}, {"files": None}, {"roles": 7}, {"digest": ""}]
)
def test_what_does_not_fit_is_damaged(values: dict[str, Any]) -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest(ONE.id, altered(**values))


def test_sizes_add_up_and_the_subject_names_cluster_and_database() -> None:
    assert ONE.stored_bytes == 4728
    assert ONE.subject == "7301/Café \U0001f37d"
    assert subject_of({"database": "shop", "system_identifier": None}) == "unknown/shop"


def test_a_manifest_of_the_first_version_stays_readable() -> None:
    golden = Path(__file__).with_name("20261122T200304Z-c369.json")
    manifest = read_manifest(golden.stem, golden.read_bytes())
    assert (manifest.kind, manifest.source["database"], len(manifest.files)) == ("full", "tabsync", 16)
    assert manifest.excluded == ()  # manifests say that only since later


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../../etc/cron.d/evil"},
        {"name": "/etc/cron.d/evil"},
        {"name": ".."},
        {"name": "a\nb"},
        {"name": ""},
        {"digest": "../../../../etc/shadow"},
        {"sealed": "AB" * 32},
        {"bytes": -1},
    ],
)
def test_a_manifest_of_somebody_else_leads_nowhere_else(change: dict[str, Any]) -> None:
    files = (replace(ONE.files[0], **change), *ONE.files[1:])
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest(ONE.id, replace(ONE, files=files).to_bytes())


@pytest.mark.parametrize("snapshot", [{}, {"time": "nonsense"}, {"time": 5}, {"time": "2026-11-22T18:15:01"}])
def test_a_backup_of_no_known_time_is_damaged(snapshot: dict[str, Any]) -> None:
    with pytest.raises(ProblemFound, match="corrupt"):
        read_manifest(ONE.id, replace(ONE, snapshot=snapshot).to_bytes())
