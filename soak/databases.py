"""The part "databases": models of odd schemas, each through every procedure that judges a copy, on each version.

Each is one line of figures. What was done stands in the state file, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from soak.part import Part, Say
from soak.through import PROCEDURES, dropped, plain_manual, through
from tabsync.postgres import embedded
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.installation import installations
from tabsync.system.account import reachable_place
from tabsync.system.claims import claim
from tabsync.workspace import Workspace

MODELS = Path(__file__).with_name("models")
MAJORS = (15, 17, 18)
_REQUIRES = "-- requires: "
_SETTINGS = {"fsync": "off", "max_connections": "60", "listen_addresses": ""}


@dataclass(frozen=True, slots=True)
class Model:
    """A script that makes a database. requires: the extensions without which it can't."""

    name: str
    script: str
    requires: tuple[str, ...]


def models() -> list[Model]:
    """All models, by name."""
    found = []
    for path in sorted(MODELS.glob("*.sql")):
        script = path.read_text(encoding="utf-8")
        first = script.partition("\n")[0]
        requires = tuple(first.removeprefix(_REQUIRES).split()) if first.startswith(_REQUIRES) else ()
        found.append(Model(path.stem, script, requires))
    return found


def lacking(conninfo: str, model: Model) -> list[str]:
    """The extensions that a model needs and a server doesn't have."""
    with psycopg.connect(conninfo) as connection:
        there = {name for (name,) in connection.execute("select name from pg_catalog.pg_available_extensions")}
    return [name for name in model.requires if name not in there]


def filled(conninfo: str, model: Model) -> None:
    """Make a model's tables and rows in an empty database, with psql, as a person would."""
    with psycopg.connect(conninfo) as connection:
        major = connection.info.server_version // 10000
    psql = next(one for one in installations() if one.major >= major and one.program("psql").exists()).program("psql")
    command = [str(psql), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    done = subprocess.run(
        command, env=libpq_environment(conninfo), input=model.script, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"model {model.name}: {done.stderr.strip().splitlines()[-1]}")


def run(part: Part, say: Say) -> None:
    """Every model on every version that is installed here."""
    for major in MAJORS:
        left = [model for model in models() if f"{major}/{model.name}" not in part.done]
        if not left:
            continue
        if not any(one.major == major and one.has_server for one in installations()):
            say(f"PostgreSQL {major} is not installed: left out")
            continue
        with _server(part.place, major) as server:
            for model in left:
                part.finish(f"{major}/{model.name}", _one(part.place, server, model, say))


def _one(place: Path, server: embedded.Server, model: Model, say: Say) -> dict[str, str]:
    if missing := lacking(server.conninfo(), model):
        return {"verdict": f"left out: no {', '.join(missing)}"}
    name, home = f"soak_{model.name}", place / "home"
    shutil.rmtree(home, ignore_errors=True)
    started = time.monotonic()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    conninfo = server.conninfo(name)
    ledger = f"sqlite:///{home / 'ledger.sqlite'}"
    workspace = Workspace(home, conninfo, home / "store", plain_manual(place / "manual.md"), ledger)
    try:
        with dropped(workspace, lambda other: other == name):
            filled(conninfo, model)
            told = through(workspace, PROCEDURES)
    finally:
        workspace.close()
    wrong = {key: one.verdict for key, one in told.items() if not one.ok}
    verdict = json.dumps(wrong) if wrong else "same: " + ", ".join(told)
    notes = sum(len(one.notes) for one in told.values())
    say(f"PostgreSQL {server.installation.major}, {model.name}: {verdict}, {notes} notes")
    return {"verdict": verdict, "notes": str(notes), "seconds": f"{time.monotonic() - started:.0f}"}


@contextmanager
def _server(place: Path, major: int) -> Iterator[embedded.Server]:
    installation = next(one for one in installations() if one.major == major and one.has_server)
    held = claim(reachable_place(place / "servers") / f"soak-{major}")
    if held is None:
        raise SystemExit("another soak run works here")
    shutil.rmtree(held.directory / "data", ignore_errors=True)
    server = embedded.create(held.directory, settings=_SETTINGS, installation=installation)
    embedded.start(server)
    try:
        yield server
    finally:
        embedded.destroy(server)
        held.release()
