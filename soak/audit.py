"""A million entries are written by a crowd, a tenth rolled back, while the log is sealed and verified over and over."""

from __future__ import annotations

import time

from tests.audited import install_profile
from tests.postgres.audit.crowd import crowd
from tests.servers import running_server_of
from tests.sessions import connect

from soak.part import Part, Say
from tabsync.postgres.installation import installations
from tabsync.postgres.settings import NO_LIMIT
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema

ROWS = 1_000_000
VERSIONS = (15, 17, 18)


def run(part: Part, say: Say) -> None:
    """Each version; raises SystemExit for an entry that is sealed twice or not at all, and for a false alarm."""
    for major in VERSIONS:
        name = f"a million entries, PostgreSQL {major}"
        if name in part.done:
            continue
        installation = next(one for one in installations() if one.major == major and one.has_server)
        with running_server_of(installation, "soak-audit", {"shared_buffers": "256MB"}) as server:
            with connect(server.conninfo(), "soak", limits=NO_LIMIT) as session:
                apply_schema(session)
                generate(session, orders=300)
            install_profile(server.conninfo())
            began = time.monotonic()
            found = crowd(server.conninfo(), ROWS, seed=part.seed, most=400)
            took = time.monotonic() - began
        told = {
            "entries": f"{found['written']:,}",
            "seals": f"{found['seals']:,}",
            "verified": f"{found['verified']} times",
            "false alarms": str(int(bool(found["wrong"]))),
            "sealed twice or not at all": str(abs(found["rows"] - found["written"])),
            "seconds": f"{took:.0f}",
        }
        say(f"{name}: {told}")
        if found["wrong"] or found["rows"] != found["written"]:
            raise SystemExit(found["wrong"] or "entries and sealed entries differ")
        part.finish(name, told)
