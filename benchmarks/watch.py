"""Runs a program and looks at what it takes: its time, its memory, the disk below a directory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import cpu_of_children
from tabsync.system.consume import room_of


@dataclass(slots=True)
class Watched:
    """What a program took. seconds; memory: the most its own process held, bytes; staged: the most disk, bytes.

    cpu: seconds of processor time, of its own and of the programs that it ran.
    """

    seconds: float
    memory: int
    staged: int
    told: dict[str, Any]
    cpu: float = 0.0


def watched(argv: Sequence[str], env: Mapping[str, str], staging: Path | None = None) -> Watched:
    """Run a program that prints JSON, and look at it every 20 ms. Ends the benchmark when it fails."""
    os.sync()  # nobody pays for what the one before left unwritten
    used = cpu_of_children()
    started = time.perf_counter()
    process = subprocess.Popen(
        argv, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    most = {"memory": 0, "staged": 0}

    def look() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            us = psutil.Process(process.pid)
            while process.poll() is None:
                most["memory"] = max(most["memory"], us.memory_info().rss)
                if staging is not None:
                    most["staged"] = max(most["staged"], size_of(staging))
                time.sleep(0.02)

    looking = threading.Thread(target=look)
    looking.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    looking.join()
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(argv)}: {out}{err}")
    return Watched(
        seconds, most["memory"], most["staged"], json.loads(out) if out.strip() else {}, cpu_of_children() - used
    )


def size_of(directory: Path) -> int:
    """Bytes of disk of all files below a directory, those that vanish meanwhile left out."""
    total = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += room_of(Path(place) / name)
    return total
