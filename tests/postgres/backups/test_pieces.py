"""Cutting a tar into pieces loses nothing, and cuts where large files begin."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabsync.backups.physical import pieces
from tabsync.backups.physical.base import lsn, lsn_text
from tabsync.backups.physical.pieces import cut_tar
from tabsync.kernel.errors import FailedPartway

SIZES = st.lists(st.integers(0, 5000), max_size=12)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 4096)
    monkeypatch.setattr(pieces, "_LARGE", 2048)
    monkeypatch.setattr(pieces, "_CHUNK", 1024)


def tar_of(contents: list[bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, content in enumerate(contents):
            member = tarfile.TarInfo(f"base/{number}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        label = tarfile.TarInfo("backup_manifest")
        label.size = 700
        archive.addfile(label, io.BytesIO(b"m" * 700))
    return made.getvalue()


def cut_all(tar: bytes, directory: Path) -> list[bytes]:
    found: list[bytes] = []

    def done(path: Path) -> None:
        found.append(zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 24))
        path.unlink()

    cut = cut_tar(io.BytesIO(tar), directory, "base.tar", done, lambda _bytes: None)
    assert cut.bytes == len(tar)
    assert cut.caught["backup_manifest"].read_bytes() == b"m" * 700
    return found


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIZES)
def test_the_pieces_are_the_tar(tmp_path: Path, sizes: list[int]) -> None:
    tar = tar_of([bytes([number]) * size for number, size in enumerate(sizes)])
    found = cut_all(tar, tmp_path)
    assert b"".join(found) == tar
    assert all(len(piece) <= 4096 + 1024 for piece in found)


def test_a_large_file_gives_the_same_pieces_whatever_is_before_it(tmp_path: Path) -> None:
    large = bytes(range(256)) * 30
    one, other = cut_all(tar_of([b"x" * 10, large]), tmp_path), cut_all(tar_of([b"y" * 900, large]), tmp_path)
    assert len([piece for piece in one if piece in other]) >= 2


def test_a_stream_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    tar = tar_of([b"x" * 3000])
    for length in (100, 600, 2000):
        with pytest.raises(FailedPartway, match="broke off"):
            cut_tar(io.BytesIO(tar[:length]), tmp_path, "base.tar", lambda path: None, lambda _bytes: None)


@given(st.integers(0, 2**64 - 1))
def test_positions_are_read_as_they_are_written(position: int) -> None:
    assert lsn(lsn_text(position)) == position
