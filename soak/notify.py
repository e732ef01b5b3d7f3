"""The service, killed 200 times while alerts fire and end: an SMTP server counts what comes."""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path

from aiosmtpd.controller import Controller
from tests.clusters import copied
from tests.place import fast_place
from tests.service.telling import APART, SERVED, Counted, telling
from tests.service.told import Mailbox, free_port
from tests.sessions import connect

from soak.part import Figures, Part, Say
from tabsync.postgres import embedded
from tabsync.postgres.installation import installations
from tabsync.system.claims import claim

KILLS = 200
FORMS = {"serve: killed, or what it keeps": SERVED, "collector and notifier, each alone": APART}
_INITDB = embedded._initdb


def run(part: Part, say: Say) -> None:
    """Kill and count; raises SystemExit when a message is lost, or comes twice for no reason."""
    wrong: list[str] = []
    for form, parts in FORMS.items():
        if form not in part.done:
            counted, kills = _killed(parts, part.seed)
            figures = {"kills": str(kills)} | _figures(counted)
            say(f"{form}: {figures}")
            part.finish(form, figures)
            wrong += [f"lost: {one}" for one in counted.lost] + [f"twice: {one}" for one in counted.strange]
    if wrong:
        raise SystemExit("\n".join(wrong))


def _killed(parts: dict[str, list[str]], seed: int) -> tuple[Counted, int]:
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
            with telling(directory / "home", server.conninfo("shop"), box, port, seed, parts) as place:
                place.live(kills)
                place.settle(300)
                return place.count(), len(place.kills)
        finally:
            controller.stop()
            embedded.end_server(held.directory)
            held.release()


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
