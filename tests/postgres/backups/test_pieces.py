"""Cutting a tar into pieces loses nothing, and cuts where large files begin."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabsync.backups.physical import pieces
from tabsync.backups.physical.base import lsn, lsn_text
from tabsync.backups.physical.pieces import BrokeOff, Piece, buffers, cut_tar
from tabsync.backups.physical.unpack import Unpacker
from tabsync.kernel.errors import ProblemFound

SIZES = st.lists(st.integers(0, 5000), max_size=12)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 4096)
    monkeypatch.setattr(pieces, "_LARGE", 2048)
    monkeypatch.setattr(pieces, "_ENOUGH", 1024)


def tar_of(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in {**files, "backup_manifest": b"m" * 700}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def named(contents: list[bytes]) -> dict[str, bytes]:
    return {f"base/1/{number}": content for number, content in enumerate(contents)}


def cut_all(tar: bytes, directory: Path) -> list[bytes]:
    found: list[bytes] = []

    def done(piece: Piece) -> None:
        found.append(bytes(piece.content))
        piece.give_back()

    cut = cut_tar(io.BytesIO(tar), directory, "base.tar", buffers(1), done)  # a second buffer is never needed
    assert cut.bytes == len(tar)
    assert cut.caught["backup_manifest"].read_bytes() == b"m" * 700
    return found


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES)
def test_the_pieces_are_the_tar(tmp_path: Path, sizes: list[int]) -> None:
    tar = tar_of(named([bytes([number]) * size for number, size in enumerate(sizes)]))
    found = cut_all(tar, tmp_path)
    assert b"".join(found) == tar
    assert all(len(piece) <= 4096 for piece in found)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES, st.integers(1, 5000))
def test_what_the_pieces_hold_comes_out_as_tar_would_bring_it(tmp_path: Path, sizes: list[int], bits: int) -> None:
    files = named([bytes([number]) * size for number, size in enumerate(sizes)])
    tar, into = tar_of(files), tmp_path / "out"
    shutil.rmtree(into, ignore_errors=True)
    (into / "base" / "1").mkdir(parents=True)
    unpacker = Unpacker(into)
    step = -(-bits // 512) * 512
    for start in range(0, len(tar), step):
        unpacker.feed(tar[start : start + step])
    unpacker.end()
    unpacker.close()
    there = {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()}
    assert there == {**files, "backup_manifest": b"m" * 700}


def test_a_large_file_gives_the_same_pieces_whatever_is_before_it(tmp_path: Path) -> None:
    large = bytes(range(256)) * 30
    one, other = (cut_all(tar_of(named([before, large])), tmp_path) for before in (b"x" * 10, b"y" * 900))
    assert len([piece for piece in one if piece in other]) >= 2


def test_one_small_file_that_changed_or_came_changes_few_pieces(tmp_path: Path) -> None:
    files = {f"base/5/{number}": bytes([number % 251]) * (number % 700) for number in range(400)}
    before = cut_all(tar_of(files), tmp_path)
    changed = cut_all(tar_of({**files, "base/5/200": b"other"}), tmp_path)
    grown = cut_all(tar_of({"base/5/new": b"first of all", **files}), tmp_path)
    assert len(before) > 50
    for after in (changed, grown):
        assert len(set(after) - set(before)) <= 5


def test_what_changes_with_each_backup_shares_no_piece_with_a_database(tmp_path: Path) -> None:
    def cluster(moment: bytes) -> dict[str, bytes]:
        still = {"base/1/1": b"a" * 100, "base/5/1": b"b" * 100, "global/1262": b"c" * 100, "pg_xact/0000": b"d" * 100}
        changing = ("backup_label", "pg_wal/000000010000000000000001", "global/pg_control", "pg_logical/x")
        return {"backup_label": moment, **still, **dict.fromkeys(changing, moment)}

    one, other = cut_all(tar_of(cluster(b"1" * 50)), tmp_path), cut_all(tar_of(cluster(b"2" * 50)), tmp_path)
    shared = b"".join(set(one) & set(other))
    assert all(letter * 100 in shared for letter in (b"a", b"b", b"c", b"d"))


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "base/../../outside"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProblemFound, match="outside of the data directory"):
        Unpacker(tmp_path / "in").feed(tar_of({name: b"x"}))
    assert not (tmp_path / "outside").exists()


def test_a_link_is_refused_and_so_is_what_is_no_tar(tmp_path: Path) -> None:
    link = tarfile.TarInfo("base")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    for header in (link.tobuf(tarfile.USTAR_FORMAT), b"x" * 512):
        with pytest.raises(ProblemFound):
            Unpacker(tmp_path).feed(header)
    unpacker = Unpacker(tmp_path)
    unpacker.feed(tar_of({"PG_VERSION": b"17" * 600})[:1024])
    with pytest.raises(ProblemFound, match="middle of a file"):
        unpacker.end()
    unpacker.close()


def test_a_stream_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    tar = tar_of(named([b"x" * 3000]))
    for length in (100, 600, 2000):
        lent = buffers(2)
        with pytest.raises(BrokeOff, match="ended too early"):
            cut_tar(io.BytesIO(tar[:length]), tmp_path, "base.tar", lent, Piece.give_back)
        assert lent.qsize() == 2


@given(st.integers(0, 2**64 - 1))
def test_positions_are_read_as_they_are_written(position: int) -> None:
    assert lsn(lsn_text(position)) == position
