"""Disks that are full: small ones of their own, which a test fills and empties."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import missing


@dataclass(frozen=True)
class Disk:
    """A small file system. place: where it is mounted."""

    place: Path

    def fill(self) -> None:
        """Leave no room at all."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(os.urandom(4096))

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.place / "filler"


@contextlib.contextmanager
def small_disk(place: Path, size: str = "8m") -> Iterator[Disk]:
    """Mount a small disk on a directory, which is made."""
    if os.geteuid() != 0:
        missing("root, to mount a small disk")
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)]
    if subprocess.run(command, check=False).returncode != 0:
        missing("the right to mount a small disk")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
