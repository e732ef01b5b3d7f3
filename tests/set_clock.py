"""A PostgreSQL whose clock is set: libfaketime answers it with the machine's time and a number of seconds more.

https://github.com/wolfcw/libfaketime
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tabsync.postgres import embedded
from tabsync.postgres.installation import Installation
from tabsync.system.account import Account, server_account
from tabsync.system.claims import claim
from tests.place import fast_place

_WRAPPER = """#!/bin/sh
export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={file}
export FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1
exec {postgres} "$@"
"""


@dataclass(frozen=True)
class Clock:
    """The clock of a server. file: how many seconds later it is there than here."""

    file: Path

    def set(self, moment: datetime) -> None:
        """Set it; it goes on from there."""
        later = (moment - datetime.now(UTC)).total_seconds()
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{later:+.3f}\n")
        fresh.chmod(0o644)
        fresh.replace(self.file)


def faketime() -> Path | None:
    """The library, where Debian's package is installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


@contextmanager
def server_with_clock(
    library: Path, moment: datetime, installation: Installation | None = None
) -> Iterator[tuple[embedded.Server, Clock]]:
    """A running server that nothing else uses, where it is that moment, no earlier than it is here.

    installation: None is the embedded 17.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tabsync-clock-", dir=fast_place()) as temporary,
        pytest.MonkeyPatch.context() as patch,
    ):
        place = Path(temporary)
        place.chmod(0o711)
        clock = Clock(place / "later")
        clock.set(moment)
        held = claim(place / "server")
        assert held is not None
        server = embedded.create(held.directory, settings=embedded.SCRATCH_SETTINGS, installation=installation)
        postgres = server.installation.server_bindir(server_account()) / "postgres"
        wrapper = place / "postgres"
        wrapper.write_text(_WRAPPER.format(library=library, file=clock.file, postgres=postgres))
        wrapper.chmod(0o755)
        pg_ctl = embedded._pg_ctl

        def with_clock(one: embedded.Server, account: Account, verb: str, *options: str, **named: Any) -> Any:
            more = (f"-p{wrapper}",) if verb == "start" else ()
            return pg_ctl(one, account, verb, *more, *options, **named)

        patch.setattr(embedded, "_pg_ctl", with_clock)
        try:
            embedded.start(server)
            yield server, clock
        finally:
            embedded.destroy(server)
            held.release()
