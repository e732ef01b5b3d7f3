"""The session that the collector's process keeps, asked by commands in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import psycopg
from psycopg.conninfo import make_conninfo

from tabsync.sessions.emergency import SOCKET
from tests.conftest import run_sql
from tests.servers import running_server
from tests.service.place import Home


def test_show_and_terminate_when_nobody_gets_in(home: Callable[..., Home]) -> None:
    with running_server("kept", max_connections="14") as server, ExitStack() as stack:
        root = server.conninfo()
        for name, of in (("ops", "pg_monitor, pg_signal_backend"), ("app", "pg_read_all_data")):
            run_sql(root, f"create role {name} login password 'secret'")
            run_sql(root, f"grant {of} to {name}")
        ops, app = (make_conninfo(root, user=name, password="secret", passfile="") for name in ("ops", "app"))
        made = home(conninfo=root)
        made.conninfo = ops
        made.write("")
        with made.service("collector", "run"):
            until = time.monotonic() + 60
            while not (made.directory / ".tabsync" / SOCKET).exists():
                assert time.monotonic() < until
                time.sleep(0.05)
            assert made.json("status")["way_in"]["told"] == "in through the session that tabsync serve keeps"
            taken = []
            while True:
                try:
                    one = psycopg.connect(app, application_name="web", autocommit=True)
                except psycopg.OperationalError:
                    break
                taken.append(stack.enter_context(one))
            shown = made.json("connections", "show")
            assert shown["through"] == "the session that tabsync serve keeps, as ops"
            done = made.json("connections", "terminate", "--idle-for", "1ms", "--app", "web")
            assert len(done["ended"]) == len(taken)
            assert made.json("connections", "show")["through"] == ""
