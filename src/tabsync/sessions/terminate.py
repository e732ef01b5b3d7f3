"""tabsync connections terminate: end sessions by their process ids, or those that have been idle for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.errors import BadUsage, Exit, NotAllowed, Refused
from tabsync.kernel.page import Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done, Planned
from tabsync.kernel.request import INTEGER, Argument, Option
from tabsync.kernel.step import Facts
from tabsync.kernel.units import parse_duration
from tabsync.postgres.catalog import quoted
from tabsync.sessions.end import Choice, ending_steps
from tabsync.sessions.seen import TRACK, Session, session_from_json, sessions, short
from tabsync.sessions.way_in import here, way_in

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_SHOW = "to list the sessions: tabsync connections show --each"
_NAME, _SEVERAL = 24, 10
_HARMLESS = ("gone", "changed", "another")  # a rule may find some of them so: it was written for those that idle


@dataclass(frozen=True, slots=True)
class Terminate:
    """What one may ask of connections terminate."""

    pids: Annotated[
        tuple[int, ...],
        Argument("Process ids of the sessions, as connections show --each lists them.", maximum=INTEGER),
    ] = ()
    idle_for: Annotated[
        str, Option("Those that have been idle, outside of a transaction, for longer: 5min.", metavar="DURATION")
    ] = ""
    user: Annotated[str, Option("Only those of this user.")] = ""
    app: Annotated[str, Option("Only those of this application, as connections show names it.")] = ""
    limit: Annotated[
        int, Option("How many at most, the longest idle first; more are told.", minimum=1, maximum=10_000)
    ] = 100


@dataclass(frozen=True, slots=True)
class _About:
    """What the page says besides what was done."""

    more: int = 0
    unknown: int = 0


def plan_terminate(workspace: Workspace, request: Terminate) -> Planned[Workspace]:
    """Plan to end sessions. Raises BadUsage, Refused and NotAllowed with what can't be ended and why."""
    _check(request)
    with way_in(workspace, "connections") as way:
        server = here(way)
        found = sessions(way, request.pids)
    choice, notes, about = _named(request, found, server) if request.pids else _idle(request, found, server)
    notes = [*([f"through {way.told}"] if way.told else []), *notes]
    count = len(choice.ending)
    title = f"End {count} session{'s' if count != 1 else ''} of {server['database']}"
    plan = Plan(
        "connections terminate",
        title if count else "There is no session to end",
        ending_steps(choice, server) if count else (),
        server,
        confirm=str(server["database"]),
    )
    return Planned(plan, tuple(notes), about=about)


def show_terminate(done: Done[Workspace, Terminate]) -> Page:
    """What was ended, what was left and why, and how many connections are used now."""
    ended, left, again = _what_came(done)
    page = Page("connections terminate", {"ended": ended, "left": left, "used": again.get("used")})
    count = len(ended)
    about = done.planned.about
    unknown = about.unknown if isinstance(about, _About) else 0
    if done.outcome is None and unknown:
        page.line(
            ("UNKNOWN", "strong warning"), f": what sessions do is not known here, of {unknown}; no other one fits"
        )
        page.exit_code = Exit.UNKNOWN
        return page
    if done.outcome is None:
        page.line(("NOTHING TO END", "strong good"), ": no session fits")
        return page
    page.line((f"ENDED {count} SESSION{'S' if count != 1 else ''}", "strong good" if count else "strong warning"))
    bad = [one for one in left if one["found"] not in _HARMLESS]
    if left:
        rows = [(str(one["pid"]), session_from_json(one).described(), one["why"]) for one in left]
        page.table(("Process", "Left: as planned", "Why"), rows, right=("Process",))
    if again:
        _count(page, done.results["end"], again, count)
    if bad or (left and done.request.pids and not count):
        page.exit_code = Exit.PROBLEM_FOUND
        page.hint(_SHOW)
    return page


def _what_came(done: Done[Workspace, Terminate]) -> tuple[list[Facts], list[Facts], Facts]:
    facts = done.results.get("end", {})
    return facts.get("ended", []), facts.get("left", []), done.results.get("count", {})


def _count(page: Page, facts: Facts, again: Facts, ended: int) -> None:
    before, after = facts["used_before"], again["used"]
    others = (before - facts["ours_before"]) - (after - again["ours"])  # our own sessions come and go
    back = ended - others
    page.line(f"Connections: {before} of {facts['slots']} before, {after} now")
    if back > 0:
        page.note(f"opened anew since: {back}")
        page.hint("a pool opens its connections again at once: to hold a role back: tabsync connections limit")


def _check(request: Terminate) -> None:
    if bool(request.pids) == bool(request.idle_for):
        said = "both process ids and" if request.pids else "neither process ids nor"
        raise BadUsage(f"{said} --idle-for were given", "give one of them: which sessions, or for how long they idled")
    if request.pids and (request.user or request.app):
        raise BadUsage("--user and --app go with --idle-for", "process ids name sessions one by one")


def _named(request: Terminate, found: Sequence[Session], server: Facts) -> tuple[Choice, list[str], _About]:
    """Those of some process ids, whatever they are, but our own."""
    by_pid = {one.pid: one for one in found}
    chosen = [check_may_end(pid, by_pid.get(pid), server) for pid in dict.fromkeys(request.pids)]
    return Choice(chosen), [told for one in chosen if (told := warning_of(one, server))], _About()


def check_may_end(pid: int, one: Session | None, server: Facts) -> Session:
    """A session that somebody names. Raises Refused when there is none or it is our own, NotAllowed with what lacks."""
    if one is None:
        raise Refused(f"there is no session with the process id {pid}; nothing was changed", _SHOW)
    if one.kind == "this one":
        raise Refused(f"{pid} is the session of this command; nothing was changed", _SHOW)
    if one.backend_start is None:
        grant = f"grant pg_monitor to {quoted(str(server['user']))}"
        raise NotAllowed(f"what session {pid} does is not visible to this role; nothing was changed", grant)
    if one.is_auxiliary:
        fact = f"nobody can end process {pid}, {one.type}: it is one of the server's own; nothing was changed"
        raise NotAllowed(fact, "to end the server: pg_ctl stop")
    if not one.may_signal:
        raise NotAllowed(*_why_shut(one, server))
    return one


def _why_shut(one: Session, server: Facts) -> tuple[str, str]:
    user = quoted(str(server["user"]))
    fact = f"{user} may not end session {one.pid}, {one.described()}; nothing was changed"
    if one.type != "client backend":
        return f"{user} may not end process {one.pid}, {one.kind}; nothing was changed", "only a superuser may"
    if server["signals_all"]:
        return fact, "it is a superuser's, which only a superuser may end"
    return fact, f"grant pg_signal_backend to {user}; for a superuser's session that is not enough"


def warning_of(one: Session, server: Facts) -> str:
    """What a person should know of a session that was named."""
    if one.kind == "client":
        elsewhere = one.database is not None and one.database != server["database"]
        return f"{one.pid} is connected to another database, {one.database}" if elsewhere else ""
    what = {
        "tabsync": "a session of tabsync",
        "dump": f"{one.name}: its work is lost",
        "index build": "building an index",
    }
    return f"{one.pid} is {what.get(one.kind, one.kind)}"


def _idle(request: Terminate, found: Sequence[Session], server: Facts) -> tuple[Choice, list[str], _About]:
    """Those that have idled for long enough, the longest first."""
    least = _span(request.idle_for)
    asked = [one for one in found if _asked(one, request)]
    here_only = [one for one in asked if one.database == server["database"] and one.kind == "client"]
    idle = [one for one in here_only if one.state == "idle" and (one.state_seconds or 0.0) >= least]
    idle.sort(key=lambda one: -(one.state_seconds or 0.0))
    fit = [one for one in idle if one.may_signal]
    marked = [one for one in idle if not one.may_signal]
    more = max(len(fit) - request.limit, 0)
    unknown = [one for one in asked if one.database == server["database"] and _is_unknown(one)]
    notes = _notes(request, asked, server, least, marked, more)
    return Choice(fit[: request.limit], marked), notes, _About(more, len(unknown))


def _is_unknown(one: Session) -> bool:
    return one.kind == "not visible" or (one.kind == "client" and one.is_untracked)


def _asked(one: Session, request: Terminate) -> bool:
    return (not request.user or one.user == request.user) and (not request.app or one.application == request.app)


def _notes(
    request: Terminate, asked: Sequence[Session], server: Facts, least: float, marked: Sequence[Session], more: int
) -> list[str]:
    told = []
    if more:
        told.append(f"{more} more have been idle for as long: run it again, or raise --limit {request.limit}")
    if marked:
        told.append(f"{len(marked)} more may not be ended by this role: the plan lists them")
    if hidden := sum(one.kind == "not visible" for one in asked):
        user = quoted(str(server["user"]))
        told.append(f"not visible, and left: sessions of other users, {hidden}: grant pg_monitor to {user}")
    elsewhere = [one for one in asked if one.database not in (None, server["database"]) and one.state == "idle"]
    if elsewhere := [one for one in elsewhere if (one.state_seconds or 0.0) >= least]:
        told.append(f"left: idle sessions of other databases, {len(elsewhere)}")
    told += _spared(asked, server, least)
    if untracked := sum(one.is_untracked for one in asked if one.kind == "client"):
        told.append(f"left, since what they do is not tracked: sessions, {untracked}: {TRACK}")
    holding = [one for one in asked if one.is_in_transaction and (one.state_seconds or 0.0) >= least]
    for one in sorted(holding, key=lambda one: -(one.state_seconds or 0.0))[:5]:
        told.append(f"not ended, since it holds locks: {one.described()}: tabsync connections terminate {one.pid}")
    return told


def _spared(asked: Sequence[Session], server: Facts, least: float) -> list[str]:
    """Idle ones that are left for what they call themselves; any client may call itself so."""
    here = [one for one in asked if one.kind in ("tabsync", "dump") and one.database == server["database"]]
    found = [one for one in here if one.state == "idle" and (one.state_seconds or 0.0) >= least]
    if not found:
        return []
    names = ", ".join(dict.fromkeys(f"{one.name} as {short(one.user or '?', _NAME)}" for one in found[:_SEVERAL]))
    pids = " ".join(str(one.pid) for one in found[:_SEVERAL])
    more = f" and {len(found) - _SEVERAL} more" if len(found) > _SEVERAL else ""
    count = f"{len(found)} idle session{'s' if len(found) > 1 else ''}"
    return [f"left, since they call themselves tabsync or a dump: {count} ({names}); by process id: {pids}{more}"]


def _span(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise BadUsage(f"--idle-for: {error}", "for example: --idle-for 5min") from None
