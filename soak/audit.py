"""The audit log: a crowd writes a million entries while it is sealed and verified; kills in all that writes to it."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from tests.audited import install_profile
from tests.place import fast_place
from tests.postgres.audit.crowd import crowd
from tests.postgres.audit.killed import Site, installed_under_kills, sealed_under_kills
from tests.postgres.audit.killed_keeping import aged, archived_under_kills, emptied_under_kills, many_entries
from tests.servers import running_server_of
from tests.sessions import connect

from soak.part import Figures, Part, Say
from tabsync.postgres.embedded import Server
from tabsync.postgres.installation import installations
from tabsync.postgres.settings import NO_LIMIT
from tabsync.profiles.tabsync.generate import generate
from tabsync.profiles.tabsync.migrate import apply_schema

ROWS = 1_000_000
VERSIONS = (15, 17, 18)
ROUNDS = 40
MANY = 100_000
"""Entries of a large log."""


def run(part: Part, say: Say) -> None:
    """Each version, then the kills; raises SystemExit for an entry lost or there twice, and for a false alarm."""
    _crowds(part, say)
    _kills(part, say)
    _large(part, say)


def _large(part: Part, say: Say) -> None:
    """A log of some size: made partitioned, its default partition emptied, its old months archived."""
    names = {number: f"a large log, round {number + 1}" for number in range(ROUNDS)}
    if part.done.keys() >= set(names.values()):
        return
    with running_server_of(None, "soak-large", {"shared_buffers": "128MB", "max_connections": "60"}) as server:
        with connect(server.conninfo(), "soak", limits=NO_LIMIT) as session:
            session.execute("create database template_of_ours")
        with connect(server.conninfo("template_of_ours"), "soak", limits=NO_LIMIT) as session:
            apply_schema(session)
            generate(session, orders=300)
        many_entries(server.conninfo("template_of_ours"), MANY)
        for number, name in names.items():
            if name not in part.done:
                figures = _moved(server, number, random.Random(f"{part.seed} {number}"))
                part.finish(name, figures)
                say(f"{name}: {figures}")


def _moved(server: Server, number: int, draw: random.Random) -> Figures:
    with _site(server, number) as site:
        kills, wrong = [0], installed_under_kills(site, draw, kills=draw.randint(2, 8), longest=0.9)
        kills.append(site.kills)
        aged(site, draw, months=draw.randint(0, 6), rows=draw.choice([100, 5_000]))
        caught = draw.choice([200, 4_000, 30_000])
        wrong += emptied_under_kills(site, draw, kills=draw.randint(2, 8), rows=caught, longest=0.35)
        kills.append(site.kills)
        wrong += archived_under_kills(site, draw, kills=draw.randint(2, 8), longest=0.5)
        kills.append(site.kills)
        if wrong:
            raise SystemExit("\n".join(wrong))
        noted = str(len(site.notes))
    done = [str(after - before) for before, after in pairwise(kills)]
    words = ("install", "repair", "archive")
    return {f"kills in {word}": count for word, count in zip(words, done, strict=True)} | {
        "entries written meanwhile": noted,
        "lost, or there twice": "0",
    }


def _kills(part: Part, say: Say) -> None:
    draw = random.Random(part.seed)
    with running_server_of(None, "soak-kills", {"shared_buffers": "64MB", "max_connections": "60"}) as server:
        with connect(server.conninfo(), "soak", limits=NO_LIMIT) as session:
            session.execute("create database template_of_ours")
        with connect(server.conninfo("template_of_ours"), "soak", limits=NO_LIMIT) as session:
            apply_schema(session)
            generate(session, orders=300)
        for number in range(ROUNDS):
            name = f"killed, round {number + 1}"
            if name not in part.done:
                part.finish(name, _killed(server, number, draw))
                say(f"{name}: {part.done[name]}")


def _killed(server: Server, number: int, draw: random.Random) -> Figures:
    with _site(server, number) as site:
        wrong = installed_under_kills(site, draw, kills=draw.randint(1, 6))
        installing = site.kills
        wrong += sealed_under_kills(site, draw, kills=draw.randint(2, 8))
        if wrong:
            raise SystemExit("\n".join(wrong))
    return {
        "kills in install": str(installing),
        "kills in seal": str(site.kills - installing),
        "entries written meanwhile": str(len(site.notes)),
        "lost, or there twice": "0",
    }


@contextmanager
def _site(server: Server, number: int) -> Iterator[Site]:
    """A copy of the template, and a directory for it."""
    with connect(server.conninfo(), "soak", limits=NO_LIMIT) as session:
        session.execute(f"create database round_{number} template template_of_ours strategy file_copy")
    with tempfile.TemporaryDirectory(prefix="tabsync-soak-", dir=fast_place()) as made:
        yield Site(server.conninfo(f"round_{number}"), Path(made))
    with connect(server.conninfo(), "soak", limits=NO_LIMIT) as session:
        session.execute(f"drop database round_{number} with (force)")


def _crowds(part: Part, say: Say) -> None:
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
