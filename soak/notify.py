"""Collector and notifier, killed 200 times while alerts fire and end: an SMTP server counts what comes."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from aiosmtpd.controller import Controller
from tests.clusters import copied
from tests.place import fast_place
from tests.service.telling import Counted, telling
from tests.service.told import Mailbox, free_port
from tests.sessions import connect

from soak.part import Figures, Part, Say
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.system.claims import claim

KILLS = 200
_INITDB = embedded._initdb


def run(part: Part, say: Say) -> None:
    """Kill and count; raises SystemExit when a message is lost, or comes twice for no reason."""
    kills = int(os.environ.get("SOAK_KILLS", KILLS))
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        directory = Path(made)
        directory.chmod(0o755)
        held = claim(directory / "server")
        assert held is not None
        found = next(one for one in installations() if one.major == 17 and one.has_server)
        embedded._initdb = copied(_INITDB, fast_place() / f"tabsync-soak-templates-{os.getpid()}")  # type: ignore[assignment]
        server = embedded.create(held.directory, settings={"fsync": "off", "listen_addresses": ""}, installation=found)
        embedded.start(server)
        box, port = Mailbox(), free_port()
        controller = Controller(box, hostname="127.0.0.1", port=port)
        controller.start()
        try:
            with connect(server.conninfo(), "soak", autocommit=True) as connection:
                connection.execute("create database shop")
            (directory / "home").mkdir()
            with telling(directory / "home", server.conninfo("shop"), box, port, part.seed) as place:
                place.live(kills)
                place.settle(300)
                counted = place.count()
                figures = {"kills": str(len(place.kills))} | _figures(counted)
        finally:
            controller.stop()
            embedded.end_server(held.directory)
            held.release()
    say(f"{figures}")
    part.finish("collector and notifier", figures)
    if counted.lost or counted.strange:
        raise SystemExit(f"lost: {counted.lost}; twice for no reason: {counted.strange}")


def _figures(found: Counted) -> Figures:
    gaps = list(found.twice.values())
    return {
        "alerts": str(found.episodes),
        "messages": str(found.messages),
        "lost": str(len(found.lost)),
        "twice, same id": str(len(gaps)),
        "ms from the 250 to that kill, worst": f"{max(gaps, default=0):.1f}",
        "twice for no reason": str(len(found.strange)),
        "ms from the 250 to our commit, median": f"{statistics.median(found.commit):.1f}",
        "worst": f"{max(found.commit):.1f}",
    }
