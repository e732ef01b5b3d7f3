"""tabsync queries explain: the plan of what a session runs, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import psycopg

from tabsync.kernel.errors import FailedPartway, NotAllowed, Refused, words_of
from tabsync.kernel.page import Page
from tabsync.kernel.request import INTEGER, Argument
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import quoted
from tabsync.sessions.seen import TRACK, UNTRACKED, short
from tabsync.sessions.way_in import here, session_in, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_TEXT = 90


@dataclass(frozen=True, slots=True)
class Explain:
    """What one may ask of queries explain."""

    pid: Annotated[int, Argument("Process id of the session, as queries show lists it.", maximum=INTEGER)]


def look_explain(workspace: Workspace, request: Explain) -> Page:
    """The plan of the statement that a session runs, or ran last. Raises Refused and NotAllowed with the reason."""
    from tabsync.postgres.explain import explain  # a parser of SQL: whoever only asks for help does not wait for it

    with way_in(workspace, "queries") as way:
        server = here(way)
        rows = way.rows("statement_of", pid=request.pid)
    one = _checked(request.pid, rows[0] if rows else None, server)
    with session_in(workspace, "queries") as connection:
        try:
            found = explain(connection, one["query"], one["user"])
        except psycopg.Error as error:
            raise FailedPartway(f"the server did not plan it: {words_of(error)}", "tabsync queries show") from None
    page = Page("queries explain", {"pid": one["pid"], "user": one["user"], "query": one["query"]}, private=("*",))
    page.data |= {"plan": list(found.lines), "search_path": list(found.path)}
    runs = "runs" if one["state"] == "active" else "ran last"
    page.line(f"Session {one['pid']} {runs}: {short(one['query'], _TEXT)}", style="strong")
    for line in found.lines:
        page.line(line, whole=True)
    page.note(
        f"planned as {quoted(one['user'])}, with the search_path that it has after login: {', '.join(found.path)}"
    )
    if found.parameters:
        page.note("the values of parameters are not visible: this is the generic plan")
    page.note("the session may have settings of its own, which are not visible")
    return page


def _checked(pid: int, one: Facts | None, server: Facts) -> Facts:
    if one is None:
        raise Refused(f"there is no session with the process id {pid}", "tabsync queries show")
    if not one["visible"]:
        raise NotAllowed(
            f"what session {pid} does is not visible", f"grant pg_monitor to {quoted(str(server['user']))}"
        )
    if one["state"] == UNTRACKED:
        raise Refused(f"what session {pid} runs is not tracked: track_activities is off for it", TRACK)
    if not one["query"] or one["user"] is None:
        raise Refused(f"session {pid} has run no statement", "tabsync queries show")
    if one["database"] != server["database"]:
        database = str(one["database"])
        raise Refused(
            f"session {pid} is connected to the database {database}", f"--database with dbname={quoted(database)}"
        )
    if one["cut"]:
        raise Refused(
            f"the statement of session {pid} is longer than the server keeps, so its end is missing",
            "take the whole text from the application, or raise track_activity_query_size (it needs a restart)",
        )
    return one
