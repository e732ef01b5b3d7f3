"""Makes a golden store: python -m tests.golden.make VERSION. A store that is committed is never made again.

Each version of the store's format gets a directory of its own; all of them stay readable for ever (test_golden.py).
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from tabsync.backups.hold import plan_hold
from tabsync.backups.take import plan_take
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import run
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.stores.keys import Keys, new_identity, new_signing_key
from tabsync.workspace import Workspace
from tests.servers import running_server
from tests.sessions import connect

HERE = Path(__file__).parent

SCHEMA = """
create type dish as enum ('soup', 'salad');
create table guests (id int generated always as identity primary key, name text not null);
create table orders (id int primary key, guest int references guests, what dish, at timestamptz default '2026-11-22');
insert into guests (name) values ('Ana'), ('Björn'), ('Čeněk');
insert into orders values (1, 1, 'soup'), (2, 2, 'salad'), (3, 3, 'soup');
create view hungry as select name from guests join orders on guest = guests.id;
select lo_from_bytea(4711, 'a large object');
"""


def main() -> None:
    """Make one store: a plain backup, one of a table, and an encrypted and signed one; the plain one is held."""
    directory = HERE / sys.argv[1]
    directory.mkdir()
    with running_server("golden") as server:
        with connect(server.conninfo(), "golden") as connection:
            connection.execute("create database shop")
        with connect(server.conninfo("shop"), "golden") as connection:
            for statement in SCHEMA.strip().split(";\n"):
                connection.execute(statement)
        home = directory / "home"
        plain = Workspace(
            home, server.conninfo("shop"), directory / "store", PROFILE_MANUAL, f"sqlite:///{home / 'l.sqlite'}"
        )
        recipient = new_identity(directory / "identity")
        public = new_signing_key(directory / "signing.pem")
        (directory / "trusted").write_text(public + "\n")
        sealed = replace(plain, keys=Keys((recipient,), signing=directory / "signing.pem"), _open={})
        _do(plain, plan_take(plain, "full", "manual"))
        _do(plain, plan_hold(plain, "latest", "golden"))
        _do(plain, plan_take(plain, "tables", "critical-tables", ["guests"]))
        _do(sealed, plan_take(sealed, "full", "pre-migration"))
        for one in (plain, sealed):
            one.close()
    shutil.rmtree(home)
    (directory / "signing.pem").unlink()
    for path in directory.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    for name in ("staging", "leases"):
        shutil.rmtree(directory / "store" / name, ignore_errors=True)
    (directory / "store" / "objects" / "lock").unlink(missing_ok=True)


def _do(workspace: Workspace, plan: Plan) -> None:
    run(plan, workspace, workspace.journal()).raise_if_failed()


if __name__ == "__main__":
    os.umask(0o022)
    main()
