"""A server of a test's own, for whoever can't share one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import Installation
from tabsync.system.account import server_account
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


@contextmanager
def standby_of(primary: embedded.Server, name: str, **settings: str) -> Iterator[embedded.Server]:
    """A running standby that streams from a server through a slot; it lives beside it."""
    held = claim(primary.directory.parent / name)
    assert held is not None
    held.directory.chmod(0o711)
    server = embedded.Server(held.directory, primary.installation, {**primary.settings, **settings})
    secret = (primary.directory / "pgpass").read_text()
    (held.directory / "pgpass").write_text(secret)
    (held.directory / "pgpass").chmod(0o600)
    # The servers' account can't read our passfile, so primary_conninfo has the password itself.
    told = conninfo_to_dict(primary.conninfo())
    told = {key: told[key] for key in ("host", "port", "user")} | {"password": secret.strip().rpartition(":")[2]}
    program = primary.installation.program("pg_basebackup")
    argv = [str(program), f"--pgdata={server.data}", "--write-recovery-conf", "--create-slot", f"--slot={name}"]
    environment = os.environ | libpq_environment(make_conninfo("", **told))
    subprocess.run([*argv, "--checkpoint=fast", "--no-sync"], env=environment, check=True, capture_output=True)
    server_account().own(server.data)
    try:
        embedded.start(server)
        yield server
    finally:
        embedded.destroy(server)
        held.release()
