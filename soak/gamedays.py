"""The game day "connections" on several conditions, once with the times of the manual: how long each takes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from soak.part import Figures, Part, Say

_BUSY = "while True: pass"
_ROUNDS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str], int]] = {
    "as it is": ((), {}, 0),
    "again": ((), {}, 0),
    "the processors are busy": ((), {}, 2 * (os.cpu_count() or 1)),
    "in a zone far from UTC": ((), {"TZ": "Pacific/Kiritimati"}, 0),
    "with the times of the manual": (("--real-time",), {}, 0),
}
"""For each: words of the command, its environment, and how many processes keep the processors busy."""

_TIMES = {"detect": "told after s", "diagnose": "named after s", "recover": "recovered after s"}


def run(part: Part, say: Say) -> None:
    """Play each; raises SystemExit when one has not passed."""
    for name, (words, environment, busy) in _ROUNDS.items():
        if not any(one.startswith(f"{name}: ") for one in part.done):
            with _busy(busy), tempfile.TemporaryDirectory(prefix="tabsync-soak-") as place:
                _played(part, say, name, _run(Path(place), words, environment))


def _run(place: Path, words: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tabsync", "gameday", "run", "connections", "--json", *words]
    return subprocess.run(
        command, cwd=place, env=os.environ | environment, capture_output=True, text=True, timeout=3600, check=False
    )


def _played(part: Part, say: Say, name: str, ran: subprocess.CompletedProcess[str]) -> None:
    if ran.returncode:
        raise SystemExit(f"{name}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    for one in json.loads(ran.stdout)["parts"]:
        told: Figures = {"passed": f"no: {one['missing']}" if one["missing"] else "yes" if one["ok"] else "no"}
        told |= {column: "" if one[key] is None else f"{one[key]:.1f}" for key, column in _TIMES.items()}
        say(f"{name}: {one['part']}: {told}")
        part.finish(f"{name}: {one['part']}", told)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for one in processes:
            with contextlib.suppress(ProcessLookupError):
                one.kill()
            one.wait()
