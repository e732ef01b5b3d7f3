"""Why one can't connect, or why it takes so long: evidence in, one cause out. It only thinks.

The causes are in the order in which they exclude each other: whoever can't reach the server knows nothing of its slots.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from tabsync.sessions.found import Evidence, Limit, Pooler, Preset, Room, Verdict
from tabsync.symptoms.match import causes_of, hits_of
from tabsync.symptoms.table import causes
from tabsync.symptoms.text import normal, read

_LITTLE = 16 * 1024 * 1024
"""Bytes on a disk with which PostgreSQL can't go on: one file of its WAL."""


def judge(seen: Evidence) -> Verdict:
    """The cause that the evidence leaves, or those that it can't tell apart."""
    full_disk = _disk(seen)
    if full_disk:
        return full_disk
    if seen.pooler and (pooled := _pooler(seen, seen.pooler)):
        return pooled
    return _inside(seen, seen.room) if seen.room else _outside(seen)


@cache
def meaning(text: str) -> tuple[str, ...]:
    """The causes that a message points to, by name, the likeliest first."""
    pasted = read(text)
    return tuple(one.cause.name for one in causes_of(pasted, hits_of(pasted)))


def _disk(seen: Evidence) -> Verdict | None:
    told = seen.refusal and meaning(seen.refusal)[:1] == ("disk full",)
    if not told and (seen.disk_free is None or seen.disk_free >= _LITTLE):
        return None
    free = "" if seen.disk_free is None else f"{seen.disk_free // 1024 // 1024} MB of the disk of its data are free"
    stopped = "" if seen.room else ", and it takes no connections"
    return _named("disk full", f"The server's disk is full{stopped}.", (free, seen.refusal))


def _pooler(seen: Evidence, pooler: Pooler) -> Verdict | None:
    stuck = pooler.stuck
    if stuck and stuck.servers == 0:
        says = "The pooler answers, and the server behind it does not."
        waits = f"{stuck.waiting} clients wait in the pool {stuck.name}, which has no connection to the server"
        return _named("behind the pooler down", says, (waits,))
    if seen.room and (seen.room.is_full or _reached(seen, seen.room)):
        return None  # the pool waits for the server
    if stuck:
        says = "The pooler's pool is full: all its connections to the server are in use."
        because = (
            f"{stuck.waiting} clients wait in the pool {stuck.name}, the longest for {stuck.longest:.0f} s; "
            f"all {stuck.servers} connections to the server are in use",
            seen.room.described if seen.room else "",
        )
        return _named("pooler pool full", says, because, helps=True)
    if pooler.most and pooler.clients >= pooler.most:
        says = f"The pooler accepts no more clients: {pooler.clients} of max_client_conn = {pooler.most}."
        return _named("pooler client limit", says, (seen.room.described if seen.room else "",))
    return None


def _outside(seen: Evidence) -> Verdict:
    where = f"{seen.host}:{seen.port}"
    words = meaning(seen.refusal) if seen.refusal else ()
    if seen.network == "no name":
        says = f"The name {seen.host} can't be translated to an address: a typing error, or DNS."
        return _named("name unknown", says, (seen.network_says,))
    if seen.network == "refused":
        return _stopped(seen, where)
    first = next((one for one in words if one not in ("connection lost", "server stopped")), "")
    if seen.network == "silent" and first in ("", "no answer in time", "pooler pool full"):
        return _silent(seen, where)
    if first in _SAYS:
        return _named(first, _SAYS[first], (seen.refusal,), helps=first in _HELPED, unseen=_unseen(seen))
    if first:
        return _named(first, causes()[first].says, (seen.refusal,), helps=first in _HELPED, unseen=_unseen(seen))
    if words:
        says = f"{where} answered and closed the connection: the server restarts or crashes, or this is no PostgreSQL."
        return _named(words[0], says, (seen.refusal,))
    says = "Unknown: no session was possible, and its reason is not known."
    return Verdict((), says, (seen.refusal,), _unseen(seen), unknown=True)


def _stopped(seen: Evidence, where: str) -> Verdict:
    """Nothing listens: stopped, or the wrong port. They look alike, unless something else tells."""
    refused: tuple[str, ...] = (f"{where} refuses the connection at once: nothing listens there",)
    last = seen.last
    if last and (last.host, last.port) == (seen.host, seen.port):
        return _named("server stopped", "The server is stopped.", (*refused, f"it answered there at {last.at}"))
    if last and last.host == seen.host:
        says = f"The port is wrong: the server was at port {last.port} when it answered last, at {last.at}."
        return _wrong_port(says, refused)
    mine = next((one for one in seen.here if one.port == seen.port), None)
    if mine and not mine.runs:
        crashed = f"{mine.directory} has a postmaster.pid of a process that is gone"
        return _named("server stopped", "The server is stopped: it did not end by itself.", (*refused, crashed))
    other = next((one for one in seen.here if one.runs and one.port != seen.port), None)
    if other:
        says = f"The port is wrong: a PostgreSQL runs on this machine at port {other.port}."
        return _wrong_port(says, (*refused, f"{other.directory}/postmaster.pid"))
    if seen.here:
        stopped = f"{seen.here[0].directory} has no postmaster.pid"
        return _named("server stopped", "The server is stopped.", (*refused, stopped))
    return Verdict(
        ("server stopped", "wrong port"),
        f"The server is stopped, or the port is wrong: nothing listens at {where}.",
        refused,
        ("which of the two: tabsync has never had an answer from there, and sees no data directory of it",),
        ("compare the port with the server's own: show port", *_runbook("server stopped")),
        runbooks=causes()["server stopped"].runbooks,
    )


def _wrong_port(says: str, because: tuple[str, ...]) -> Verdict:
    return Verdict(("wrong port",), says, because, next=("correct the port in the connection string",))


def _silent(seen: Evidence, where: str) -> Verdict:
    says = (
        f"Nothing came back from {where}: a firewall drops the packets or this address is banned, or the server hangs."
    )
    unseen = ("which of them: from another address, or on the server's own host, it can be told",)
    found = _named("no answer in time", says, (seen.network_says or seen.refusal,), unseen=unseen)
    more = "a managed project may be paused, or may have banned this address: its dashboard says so"
    return replace(found, next=(more, *found.next))


def _inside(seen: Evidence, room: Room) -> Verdict:
    words = meaning(seen.refusal) if seen.refusal else ()
    through = f"seen through {seen.through}" if seen.through else ""
    reached = _reached(seen, room)
    if room.is_full:
        says = f"All connection slots of the server are in use: {room.told}."
        because = (room.described, *(one.told for one in reached), *_beside(room, reached), through, seen.refusal)
        if not room.is_stuck:
            return _named("server slots full", says, because, helps=True)
        found = _named("server slots full", f"{says} {_stuck(room)}", because, helps=True)
        return replace(found, next=(_LOCKS, *found.next))
    limited = next((one for one in words if one in ("role limit", "database limit")), "")
    if reached:
        return _limited(reached, (room.described, through))
    if limited:
        says = f"A limit is reached: {seen.refusal}. The server itself has room."
        found = _named(limited, says, (room.described, through), helps=True)
        return replace(found, next=(*found.next, "raise it: alter role or alter database ... connection limit N"))
    if room.is_stuck and seen.said[:1] in _BY_LOCKS and (seen.said or not seen.asked):
        return _waits(seen, room)
    presets = [one for one in room.read_only if one.ours] or (room.read_only if "read-only" in seen.said else ())
    if presets or (room.standby and "read-only" in seen.said):
        return _read_only(room, presets[:3])
    return _elsewhere(seen, room)


def _reached(seen: Evidence, room: Room) -> tuple[Limit, ...]:
    """The limits that can be what keeps somebody out: those that a message names, and of our own role and database.

    Any other role may be at its limit for ever: one that is locked by a limit of 0, one that holds its only connection.
    """
    return tuple(one for one in room.at_limit if one.ours or _names(seen.refusal, one) or _names(seen.text, one))


def _names(text: str, one: Limit) -> bool:
    if f"{one.kind} limit" not in meaning(text):
        return False
    return re.search(rf'"\s?{re.escape(normal(one.name))}\s?"', read(text).words) is not None


def _beside(room: Room, reached: Sequence[Limit]) -> list[str]:
    """Others whose limit is reached, which is worth a word and no more."""
    return [f"also: {one.told}" for one in room.at_limit if one.limit and one not in reached][:3]


def _limited(reached: Sequence[Limit], because: tuple[str, ...]) -> Verdict:
    first = reached[0]
    helps = any(one.limit for one in reached)  # where none is allowed, there is none to end
    says = f"A limit is reached: {'; '.join(one.told for one in reached)}. The server itself has room."
    found = _named(f"{first.kind} limit", says, because, helps=helps)
    steps = found.next if helps else ()
    why = "" if first.limit else " (a limit of 0 lets nobody in: ask whoever set it)"
    return replace(found, next=(*steps, *(f"to raise it{why}: {one.remedy}" for one in reached[:2])))


def _read_only(room: Room, presets: Sequence[Preset]) -> Verdict:
    where = " and for ".join(one.where for one in presets)
    told = [f"default_transaction_read_only is on for {where}"] if presets else []
    steps = [one.reset for one in presets]
    if room.standby:
        told.append("this is a standby")
        steps.append("to write, connect to the primary")
    says = f"The server answers; sessions are read-only: {'; '.join(told)}."
    return _named("read-only", says, (room.described,), next_=tuple(steps))


def _waits(seen: Evidence, room: Room) -> Verdict:
    """Everybody waits for one transaction: more connections would only wait too."""
    says = f"The server has room: {room.told} connections are in use. {_stuck(room)}"
    found = _named("waits for a lock", says, (room.described, *_beside(room, ())), helps=True)
    also = tuple(one for one in seen.said[:1] if one not in found.causes)
    return replace(found, causes=(*found.causes, *also), next=(_LOCKS, *found.next))


def _stuck(room: Room) -> str:
    behind = f" behind {room.root.told}" if room.root else ""
    ends = " Ending that one helps." if room.root and room.root.in_transaction else ""
    return f"{room.waiting} of {room.active} active sessions wait for locks{behind}.{ends}"


def _elsewhere(seen: Evidence, room: Room) -> Verdict:
    """The server has room. What the application waits for is not in the database, or was before."""
    others = _beside(room, ())
    helps = _stuck(room) if room.is_stuck else "Ending sessions helps nobody."
    has_room = f"The server has room: {room.told} connections are in use. {helps}"
    unseen = ["the application's own pool: no database can see it"]
    if seen.pooler is None:
        unseen.append("a pooler, if there is one: [pgbouncer] url names none")
    elif seen.pooler.error:
        unseen.append(f"the pooler: {seen.pooler.error}")
    if room.untracked:
        unseen.append(f"what {room.untracked} sessions do: track_activities is off for them")
    first = next((one for one in seen.said), "")
    if first == "read-only" and not room.files_seen:
        unseen.append("what the server presets itself: in psql: show default_transaction_read_only")
    if first == "application pool full" or (not first and not seen.asked):
        leak = room.in_transaction > max(room.active, 1)
        hint = (
            room.described
            if room.untracked
            else (
                f"{room.in_transaction} sessions are idle in a transaction: the application does not give them back"
                if leak
                else f"{room.active} sessions are active: statements are slow, or the pool is too small"
            )
        )
        says = f"{has_room} {'The pool of the application is full.' if first else ''}".strip()
        ask = () if first else ("paste what the application says: tabsync connections diagnose --text MESSAGE",)
        steps = (*ask, "restart the application, or give its pool more connections") if first else ask
        return Verdict(("application pool full",) if first else (), says, (hint, *others), tuple(unseen), steps)
    if not first:
        says = f"{has_room} The message is not known."
        return Verdict((), says, (room.described, *others), tuple(unseen), _runbook(""), unknown=True)
    cause = causes()[first]
    says = f"{has_room} What the message says: {cause.says}"
    if cause.pool in ("server", "pooler") or first in ("server stopped", "starting"):
        says += " That is over now."
    because = (room.described, *others, cause.apart)
    return Verdict((first,), says, because, tuple(unseen), _runbook(first) or (cause.apart,), runbooks=cause.runbooks)


_LOCKS = "who holds what they wait for: tabsync locks show"
_BY_LOCKS = ((), *((one,) for one in ("application pool full", "waits for a lock", "statement too long")))
"""What a message may point to while everybody waits for a lock, so that this is its cause."""

_HELPED = ("server slots full", "role limit", "database limit", "pooler pool full")
_SAYS = {
    "server slots full": "All connection slots of the server are in use.",
    "starting": "The server is there and lets nobody in yet: it starts, recovers or shuts down.",
}


def _named(
    cause: str,
    says: str,
    because: Sequence[str] = (),
    *,
    helps: bool = False,
    unseen: tuple[str, ...] = (),
    next_: tuple[str, ...] = (),
) -> Verdict:
    known = causes()[cause]
    steps = next_ or _runbook(cause) or (known.apart,)
    kept = tuple(one for one in because if one)
    return Verdict((cause,), says, kept, unseen, steps, helps, runbooks=known.runbooks)


def _runbook(cause: str) -> tuple[str, ...]:
    known = causes().get(cause)
    if known is None:
        return ("to see what fires: tabsync status",)
    return tuple(f"the runbook: {one}" for one in known.runbooks[:1])


def _unseen(seen: Evidence) -> tuple[str, ...]:
    found = ["the sessions: no session of ours got in"]
    if seen.pooler and seen.pooler.error:
        found.append(f"the pooler: {seen.pooler.error}")
    return tuple(found)
