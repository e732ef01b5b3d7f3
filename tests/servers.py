"""A server of a test's own, for whoever can't share one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tabsync.postgres import embedded
from tabsync.postgres.installation import Installation
from tabsync.system.claims import claim
from tests.place import fast_place


@contextmanager
def running_server(name: str, **settings: str) -> Iterator[embedded.Server]:
    """A running PostgreSQL 17 that nothing else uses, in a temporary directory that its account can reach."""
    with running_server_of(None, name, settings) as server:
        yield server


@contextmanager
def running_server_of(
    installation: Installation | None, name: str, settings: Mapping[str, str]
) -> Iterator[embedded.Server]:
    """The same of another installation; None: the embedded 17."""
    given: Mapping[str, str] = {**embedded.SCRATCH_SETTINGS, **settings}
    with tempfile.TemporaryDirectory(prefix=f"tabsync-{name}-", dir=fast_place()) as temporary:
        Path(temporary).chmod(0o711)  # the server runs under another account when we are root
        held = claim(Path(temporary) / "server")
        assert held is not None
        server = embedded.create(held.directory, settings=given, installation=installation)
        try:
            embedded.start(server)
            yield server
        finally:
            embedded.destroy(server)
            held.release()
