"""Something that never ends, kept running: started, started again when it ends, ended with the service."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tabsync.kernel.step import Facts
from tabsync.service import jobs

_BACK_OFF = (1, 5, 15, 60, 300)  # seconds until it is started again
_WELL = 600.0  # seconds after which it counts as having run well
_END = 30.0  # seconds for it to end by itself
_MOST_OUTPUT = 1 << 20  # bytes of its output, and as many of what was before


@dataclass(slots=True)
class Watched:
    """One process that is kept running. directory: of its job; it may outlive the service, and is then adopted."""

    directory: Path
    _begun: float = 0.0
    _tries: int = 0
    _again: float = 0.0

    def keep(self, job: Facts, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        """See that it runs."""
        if self.directory.exists() and jobs.look(self.directory) is None:
            self._trim()
            return
        moment = time.monotonic()
        if self._begun:
            ended = jobs.look(self.directory)
            told = ended.fact if ended else ""
            self._tries = 0 if moment - self._begun > _WELL else self._tries + 1
            self._again = moment + _BACK_OFF[min(self._tries, len(_BACK_OFF) - 1)]
            self._begun = 0.0
            say(f"{job['item']} ended: {told or 'without a word'}; it is started again")
        if moment < self._again:
            return
        try:
            held = jobs.new_job(self.directory, job)
        except FileExistsError:
            return  # it lives after all
        jobs.begin(self.directory, held, environment)
        self._begun = moment
        say(f"started {job['item']}")

    def _trim(self) -> None:
        """Keep what it prints from filling the disk: a line a minute is 30 MB a year."""
        output = self.directory / "output"
        with contextlib.suppress(OSError):
            if output.stat().st_size > _MOST_OUTPUT:
                shutil.copyfile(output, self.directory / "output.before")
                os.truncate(output, 0)  # it is only ever appended to

    def end(self) -> None:
        """End it, with time to end in order."""
        if jobs.look(self.directory) is not None:
            return
        jobs.interrupt(self.directory)
        until = time.monotonic() + _END
        while jobs.look(self.directory) is None and time.monotonic() < until:
            time.sleep(0.1)
        jobs.kill(self.directory)
