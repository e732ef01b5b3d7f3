"""All connections are in use: who still gets in, and who can't says what is missing."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabsync.kernel.errors import CannotConnect, FailedPartway, Refused
from tabsync.kernel.procedure import Done
from tabsync.kernel.runner import run
from tabsync.postgres.conninfo import libpq_environment
from tabsync.postgres.whereto import whereto
from tabsync.service.askers import Askers
from tabsync.service.kept import Kept
from tabsync.sessions.diagnose import Diagnose, look_diagnose
from tabsync.sessions.emergency import SOCKET, call, socket_of
from tabsync.sessions.last_answer import last_answer
from tabsync.sessions.show import Show, look_show
from tabsync.sessions.terminate import Terminate, plan_terminate, show_terminate
from tabsync.sessions.way_in import way_in
from tabsync.system.local import connect_to, listen_at
from tabsync.workspace import Workspace
from tests.conftest import run_sql
from tests.pooler import pgbouncer
from tests.servers import running_server

Workspaces = Callable[..., Workspace]


@pytest.fixture(scope="module")
def small() -> Iterator[dict[str, str]]:
    """A server with 9 slots for ordinary users; connection strings as its superuser, as ops and as the application."""
    with running_server("small", max_connections="12", superuser_reserved_connections="3") as server:
        root = server.conninfo()
        run_sql(root, "create database shop")
        for name, of in (("ops", "pg_monitor, pg_signal_backend"), ("app", "pg_read_all_data")):
            run_sql(root, f"create role {name} login password 'secret'")
            run_sql(root, f"grant {of} to {name}")
        shop = server.conninfo("shop")
        yield {"root": shop} | {name: make_conninfo(shop, user=name, password="secret") for name in ("ops", "app")}


@contextmanager
def full(conninfo: str) -> Iterator[list[psycopg.Connection[Any]]]:
    """All slots that an ordinary user can get, taken by the application."""
    with ExitStack() as stack:
        taken = []
        while True:
            try:
                made = psycopg.connect(conninfo, application_name="web", autocommit=True)
            except psycopg.OperationalError:
                break
            taken.append(stack.enter_context(made))
        yield taken


@contextmanager
def kept(workspace: Workspace) -> Iterator[Kept]:
    """The service's session, as the collector's process keeps it."""
    said: list[str] = []
    one = Kept(workspace, said.append, Event())
    one.step(0)
    thread = one.start()
    try:
        assert not said
        yield one
    finally:
        one.stopping.set()
        thread.join()


def test_through_the_services_session(small: dict[str, str], workspaces: Workspaces) -> None:
    workspace = workspaces(small["ops"])
    with kept(workspace), full(small["app"]) as taken:
        noted = last_answer(workspace)
        assert noted is not None and noted.port == libpq_environment(small["ops"])["PGPORT"]
        assert look_diagnose(workspace, Diagnose()).data["causes"] == ["server slots full"]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(small["ops"])
        page = look_show(workspace, Show())
        assert page.data["through"] == "the session that tabsync serve keeps, as ops"
        assert sum(one["application"] == "web" for one in page.data["sessions"]) == len(taken) == 8
        request = Terminate(idle_for="1ms", app="web", limit=5)
        made = plan_terminate(workspace, request)
        outcome = run(made.plan, workspace, workspace.journal())
        done = show_terminate(Done(workspace, request, made, outcome))
        assert len(done.data["ended"]) == 5
        assert not any("opened anew" in getattr(block, "text", "") for block in done.blocks)
        psycopg.connect(small["ops"]).close()
        assert look_show(workspace, Show()).data["through"] == ""


def test_the_session_is_the_services_own_and_is_never_ended_by_a_rule(
    small: dict[str, str], workspaces: Workspaces
) -> None:
    workspace = workspaces(small["ops"])
    with kept(workspace):
        assert not plan_terminate(workspace, Terminate(idle_for="1ms")).plan.steps


def test_by_a_superusers_slots(small: dict[str, str], workspaces: Workspaces) -> None:
    workspace = replace(workspaces(small["ops"]), emergency=("host=nowhere.invalid", small["root"]))
    with full(small["app"]), way_in(workspace, "tests") as way:
        assert way.told.startswith("[emergency] databases, shop on ")
        assert way.one("here")["user"] == "postgres"


def test_a_pooler_whose_pool_is_full(
    small: dict[str, str], workspaces: Workspaces, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabsync.sessions.way_in._PATIENCE", 0.5)
    with pgbouncer(directory, small["root"], "transaction", default_pool_size="1") as through:
        workspace = replace(workspaces(through), emergency=(small["root"],))
        said: list[str] = []
        one = Kept(workspace, said.append, Event())
        one.step(0)  # behind a pooler in transaction mode there is no session to keep
        one.close()
        assert any("transaction mode" in line for line in said)
        with psycopg.connect(through) as holding:
            holding.execute("select 1")
            with way_in(workspace, "tests") as way:
                assert way.told.startswith("[emergency] databases")
                assert way.one("here")["database"] == "shop"


def test_nobody_gets_in_and_it_says_what_is_missing(small: dict[str, str], workspaces: Workspaces) -> None:
    workspace = workspaces(small["ops"])
    with full(small["app"]), pytest.raises(CannotConnect) as refused:
        look_show(workspace, Show())
    assert "too many clients" in refused.value.fact or "remaining connection slots" in refused.value.fact
    assert "no tabsync serve keeps a session" in refused.value.fact
    assert "[emergency] databases names nothing" in refused.value.fact
    assert "grant pg_use_reserved_connections, pg_signal_backend to ops" in refused.value.hint


def test_a_refusal_of_another_kind_looks_for_no_other_way(small: dict[str, str], workspaces: Workspaces) -> None:
    with kept(workspaces(small["ops"])), pytest.raises(CannotConnect, match="password"):
        look_show(workspaces(make_conninfo(small["ops"], password="wrong")), Show())
    with kept(workspaces(small["ops"])), pytest.raises(CannotConnect, match="does not exist"):
        look_show(workspaces(make_conninfo(small["ops"], dbname="another")), Show())


def test_it_is_kept_again_after_the_server_ended_it(small: dict[str, str], workspaces: Workspaces) -> None:
    workspace = workspaces(small["ops"])
    with kept(workspace):
        for _ in range(2):
            run_sql(
                small["root"],
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'tabsync/emergency'",
            )
            service = call(workspace)
            try:
                service.hello()
            except (Refused, FailedPartway):  # the end had not come to its ears yet
                assert service.hello()["user"] == "ops"
            finally:
                service.close()


def asked(workspace: Workspace, **question: Any) -> dict[str, Any]:
    return asked_line(workspace, json.dumps(question).encode())


def asked_line(workspace: Workspace, line: bytes) -> dict[str, Any]:
    with connect_to(socket_of(workspace), 10) as connected, connected.makefile("rb") as reading:
        connected.sendall(line + b"\n")
        answer: dict[str, Any] = json.loads(reading.readline())
        return answer


def test_one_who_says_nothing_keeps_nobody_out(
    small: dict[str, str], workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was stopped with Ctrl-Z, before its question or in the middle of it."""
    monkeypatch.setattr("tabsync.sessions.emergency._SECONDS", 5.0)
    workspace = workspaces(small["ops"])
    question = json.dumps({"place": asdict(whereto(small["ops"])), "name": "alive", "values": [{}]}).encode()
    with kept(workspace), ExitStack() as stack:
        silent, dripping = (stack.enter_context(connect_to(socket_of(workspace), 10)) for _ in range(2))
        dripping.sendall(b" ")
        for _ in range(3):
            service = call(workspace)
            assert service.hello()["user"] == "ops"
            service.close()
        silent.sendall(question + b"\n" + question + b"\n")  # and it is answered when it goes on
        with silent.makefile("rb") as reading:
            assert all("said" in json.loads(reading.readline()) for _ in range(2))
        dripping.settimeout(10)
        assert dripping.recv(1) == b""  # a question that takes too long is closed


def test_connections_that_say_nothing_are_not_kept_without_end(
    small: dict[str, str], workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabsync.service.askers._MOST", 2)
    workspace = workspaces(small["ops"])
    with kept(workspace), ExitStack() as stack:
        first, *_ = (stack.enter_context(connect_to(socket_of(workspace), 10)) for _ in range(3))
        assert first.recv(1) == b""


def test_a_service_that_hangs_is_named(directory: Path) -> None:
    workspace = Workspace(directory / "home", "dbname=shop", directory, directory, "")
    workspace.home.mkdir()
    with listen_at(socket_of(workspace)):
        service = call(workspace)
        service.connected.settimeout(0.1)
        with pytest.raises(FailedPartway, match=rf"process {os.getpid()}\) did not answer"):
            service.hello()
        service.close()


def test_it_answers_named_statements_with_values_and_nothing_else(
    small: dict[str, str], workspaces: Workspaces
) -> None:
    workspace = workspaces(small["ops"])
    place = asdict(whereto(small["ops"]))
    with kept(workspace):
        assert asked(workspace, place=place, name="alive", values=[{}]) == {
            "said": [{"rows": [{"alive": 1}], "error": "", "sqlstate": ""}]
        }
        for name in ("select 1", "alive; drop database shop", ["alive"], None):
            assert "no such statement" in asked(workspace, place=place, name=name, values=[{}])["refused"]
        elsewhere = place | {"database": "x"}
        assert "another database" in asked(workspace, place=elsewhere, name="alive", values=[{}])["refused"]
        assert "no question" in asked(workspace, place=place, name="alive", values=[{}], sql="select 1")["refused"]
        assert "no values" in asked(workspace, place=place, name="alive", values={"a": 1})["refused"]
        assert "do not fit" in asked(workspace, place=place, name="still_there", values=[{}])["refused"]
        mean = {"pids": [1], "starts": ["'); select pg_terminate_backend(1); --"]}
        (said,) = asked(workspace, place=place, name="still_there", values=[mean])["said"]
        assert said["sqlstate"] == "22007"  # it stayed a value, and is no time


def test_whatever_a_question_contains_the_next_one_is_answered(small: dict[str, str], workspaces: Workspaces) -> None:
    workspace = workspaces(small["ops"])
    place = asdict(whereto(small["ops"]))
    told = b'{"place": %s, "name": "sessions", "values": [{"pids": [], "dumps": [%s]}]}'
    with kept(workspace) as one:
        for mean in (b"[" * 200_000, told % (json.dumps(place).encode(), rb'"\ud800"'), b"{}", b"1", b"\xff"):
            assert asked_line(workspace, mean)["refused"]
            assert "said" in asked(workspace, place=place, name="alive", values=[{}])
        assert one._said.startswith("a question failed") or not one._said


def test_whatever_happens_in_a_step_it_goes_on(
    small: dict[str, str], workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabsync.service.kept._AGAIN", (0.01,))
    workspace = workspaces(small["ops"])
    place = asdict(whereto(small["ops"]))
    failing = Event()

    def fails(self: Askers) -> None:
        if not failing.is_set():
            failing.set()
            raise LookupError("nobody has thought of this")

    with kept(workspace):
        monkeypatch.setattr(Askers, "drop_silent", fails)
        with suppress(OSError, ValueError):  # it may be the one that fails
            asked(workspace, place=place, name="alive", values=[{}])
        assert failing.wait(10)
        assert "said" in asked(workspace, place=place, name="alive", values=[{}])


def test_the_same_database_by_another_spelling(
    small: dict[str, str], workspaces: Workspaces, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(small["ops"])
    service = directory / "services"
    service.write_text(f"[shop]\nhost={parts['host']}\nport={parts['port']}\ndbname=shop\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGPORT", str(parts["port"]))
    bare = {name: one for name, one in parts.items() if name != "port"}
    with kept(workspaces(small["ops"])), full(small["app"]):
        for another in (
            make_conninfo("", **bare),
            make_conninfo("service=shop", user="ops", password="secret"),
            make_conninfo("", **parts | {"host": f"{parts['host']},nowhere.invalid"}),
        ):
            with way_in(workspaces(another), "tests") as way:
                assert way.told.startswith("the session that tabsync serve keeps")
        other, where = workspaces(make_conninfo(small["ops"], dbname="x")), f"{parts['host']}:{parts['port']}"
        with pytest.raises(CannotConnect, match=f"another database: shop on {where}, not x"), way_in(other, "tests"):
            pass


def test_the_socket_is_our_accounts_own_also_in_a_long_home(small: dict[str, str], directory: Path) -> None:
    home = directory / ("a long name " * 10)
    workspace = Workspace(home, small["ops"], directory, directory, "")
    with kept(workspace):
        assert len(os.fsencode(home / SOCKET)) > 107
        assert stat.S_IMODE((home / SOCKET).stat().st_mode) == 0o600
        service = call(workspace)
        assert service.hello()["user"] == "ops"
        service.close()
        # A second service of the same home leaves it to the first.
        another = Kept(workspace, lambda _line: None, Event())
        another.step(0)
        assert another._listening is None
        another.close()
        assert (home / SOCKET).exists()
    assert not (home / SOCKET).exists()
    with pytest.raises(OSError, match=r".*"):
        call(workspace)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_user_is_not_answered(small: dict[str, str], directory: Path) -> None:
    workspace = Workspace(directory / "home", small["ops"], directory, directory, "")
    with kept(workspace):
        path = socket_of(workspace)
        path.chmod(0o666)
        path.parent.chmod(0o755)
        child = os.fork()
        if child == 0:
            try:
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as connected:
                    connected.connect(str(path))
                    question = {"place": asdict(whereto(small["ops"])), "name": "alive", "values": [{}]}
                    connected.sendall(json.dumps(question).encode() + b"\n")
                    os._exit(0 if connected.recv(1) == b"" else 1)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(0)
            except BaseException:  # noqa: BLE001 - a child of a test
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
