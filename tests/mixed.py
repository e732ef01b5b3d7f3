"""Messages of pg_restore's workers as they come on a busy machine: in parts, those of two in one line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabsync.system.programs import Finished, run_program


def mix_messages(monkeypatch: pytest.MonkeyPatch, about: str = "") -> list[str]:
    """Mix the errors of parallel workers from now on; gives the lines that were mixed, as they come.

    about: only those errors that say this.
    """
    mixed: list[str] = []

    def run_and_mix(argv: Sequence[str | Path], **options: Any) -> Finished:
        done = run_program(argv, **options)
        if not any(str(word).startswith("--jobs=") for word in argv):
            return done
        lines = tuple(
            re.sub("^pg_restore: error: ", "pg_restore:error: ", line) if about in line else line
            for line in done.stderr
        )
        mixed.extend(set(lines) - set(done.stderr))
        if about and not mixed:  # on a busy machine they sometimes are mixed as it is, be it in the middle of this
            mixed.extend(line for line in done.stderr if line.count("pg_restore") > 1 or about in line)
        return replace(done, stderr=lines)

    monkeypatch.setattr("tabsync.copies.restores.pg_restore.run_program", run_and_mix)
    return mixed
