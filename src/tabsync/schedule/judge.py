"""What became of an occurrence: exactly one state, from what is on record. Pure; the clock is an argument."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

from tabsync.schedule.expected import Occurrence, next_due
from tabsync.schedule.items import Item


class State(StrEnum):
    """What an occurrence can be."""

    EXPECTED = "expected"
    OPEN = "open"
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    PROVED_NOTHING = "proved nothing"
    MISSED = "missed"
    SKIPPED = "skipped"
    APPROVAL = "waits for approval"
    NOT_BUILT = "not built"
    ELSEWHERE = "not on this host"
    UNKNOWN = "unknown"


AHEAD = timedelta(minutes=5)
"""How far another clock may be ahead. What is later than that was left by one that was wrong, and shows nothing yet."""

GOOD = (State.DONE, State.SKIPPED)
BAD = (State.FAILED, State.PROVED_NOTHING, State.MISSED)


@dataclass(frozen=True, slots=True)
class Proof:
    """Evidence that was looked at for an item. why: why it doesn't count, "" when it does; about: it in words.

    backup: the id of the one that it is of, if it is of one.
    """

    at: datetime
    ok: bool
    why: str = ""
    about: str = ""
    run_id: str = ""
    unknown: bool = False
    backup: str = ""

    @property
    def counts(self) -> bool:
        """Whether it shows that the item was done."""
        return self.ok and not self.why and not self.unknown


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that the scheduler started for an occurrence. state: running, ended, died, or waits for approval.

    exit: its code, None when it left none; retry_at: when it is tried again, None for never; silent: the host that it
    runs on has not been heard of.
    """

    state: str
    started: datetime
    ended: datetime | None = None
    exit: int | None = None
    fact: str = ""
    run_id: str = ""
    tries: int = 1
    retry_at: datetime | None = None
    host: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person said: "skip" or "done" of an occurrence, "approve" of an item (due is None)."""

    kind: str
    at: datetime
    who: str
    note: str
    due: datetime | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an occurrence is. at: when it was done or ended; caught_up: when a missed one was done after all."""

    occurrence: Occurrence
    state: State
    why: str = ""
    at: datetime | None = None
    caught_up: datetime | None = None
    run_id: str = ""
    who: str = ""


@dataclass(slots=True)
class Record:
    """All that is on record of one item. proofs: oldest first."""

    proofs: Sequence[Proof] = ()
    attempts: Mapping[datetime, Attempt] = field(default_factory=dict)
    marks: Sequence[Mark] = ()
    _moments: list[datetime] = field(default_factory=list)
    _marked: dict[datetime, Mark] = field(default_factory=dict)
    _by_run: dict[str, list[Proof]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._moments = [one.at for one in self.proofs]
        self._marked = {one.due: one for one in self.marks if one.due is not None}
        for one in self.proofs:
            if one.run_id:
                self._by_run.setdefault(one.run_id, []).append(one)

    def between(self, start: datetime, end: datetime) -> Sequence[Proof]:
        """The proofs with start <= at < end."""
        return self.proofs[bisect_left(self._moments, start) : bisect_left(self._moments, end)]

    def left_by(self, attempt: Attempt) -> Sequence[Proof]:
        """The proofs that a run left: by its name, as the clock may be set while it runs, and those of its time."""
        during = self.between(attempt.started, _after(attempt.ended or attempt.started))
        return [*self._by_run.get(attempt.run_id, ()), *during]

    def with_attempts(self, attempts: Mapping[datetime, Attempt]) -> Record:
        """The same with other runs; what was sorted once isn't sorted again."""
        found = copy(self)
        found.attempts = attempts
        return found

    def mark(self, due: datetime) -> Mark | None:
        """What a person said of the occurrence of that time."""
        return self._marked.get(due)

    def approved(self, item: Item) -> Mark | None:
        """The approval of an item as it now stands, if there is one."""
        return next((one for one in self.marks if one.kind == "approve" and one.digest == item.text_digest), None)


def judge(
    one: Occurrence,
    record: Record,
    now: datetime,
    following: datetime | None = None,
    names: Collection[str] = (),
    rpo: timedelta | None = None,
) -> Verdict:
    """What an occurrence is now.

    following: when the item is due next, None when it isn't; names: those of this machine's services, which an item
    `on` another name does not wait for; rpo: how large a gap in continuous evidence may be.
    """
    item, mark, attempt = one.item, record.mark(one.due), record.attempts.get(one.due)
    if mark is not None and mark.kind == "skip":
        return Verdict(one, State.SKIPPED, mark.note, mark.at, who=mark.who)
    if item.when.kind == "continuous":
        return _continuous(one, record, now, names, rpo)
    if item.is_task:
        return _task(one, record, mark, now, following)
    if attempt is not None and attempt.state == "running":
        if attempt.silent:
            return Verdict(one, State.UNKNOWN, f"on {attempt.host}, which is silent", run_id=attempt.run_id)
        return Verdict(one, State.RUNNING, "", attempt.started, run_id=attempt.run_id)
    timely = record.between(one.due, min(one.until, now + AHEAD))
    left = record.left_by(attempt) if attempt is not None else ()
    begun = attempt is not None and attempt.started < one.until
    found = next((proof for proof in (*timely, *(left if begun else ())) if proof.counts), None)
    if found is not None:
        return Verdict(one, State.DONE, found.about, found.at, run_id=found.run_id)
    if attempt is not None and begun:
        return _of_attempt(one, record, attempt, now)
    unfit = next((proof.why for proof in reversed(timely) if proof.why), "")
    if late := _late(one, record, attempt, now, following):
        return Verdict(one, State.MISSED, unfit, caught_up=late.at, run_id=late.run_id)
    if attempt is not None:
        return _of_attempt(one, record, attempt, now)
    if blocked := _blocked(item, record, names):
        if blocked[0] is State.ELSEWHERE and now >= one.until:
            return Verdict(one, State.UNKNOWN, f"{blocked[1]}, from which nothing is known here")
        return Verdict(one, *blocked)
    if now < one.until:
        return Verdict(one, State.EXPECTED if now < one.due else State.WAITING, unfit)
    return Verdict(one, State.MISSED, unfit)


def _late(
    one: Occurrence, record: Record, attempt: Attempt | None, now: datetime, following: datetime | None
) -> Proof | None:
    """What was done after its window, before it was due again."""
    found = [*record.left_by(attempt)] if attempt is not None else []
    if now >= one.until:
        found += record.between(one.until, min(following or now + AHEAD, now + AHEAD))
    return min((proof for proof in found if proof.counts), key=lambda proof: proof.at, default=None)


def _after(moment: datetime) -> datetime:
    return moment + timedelta(seconds=1)  # evidence is written just before its process ends


def _of_attempt(one: Occurrence, record: Record, attempt: Attempt, now: datetime) -> Verdict:
    """What an occurrence is whose run has ended and left nothing that counts."""
    if attempt.state == "waits for approval":
        if record.approved(one.item) is None:
            return Verdict(one, State.APPROVAL, attempt.fact, attempt.ended)
        return Verdict(one, State.WAITING if now < one.until else State.MISSED, "", attempt.ended)
    if attempt.retry_at is not None and now < one.until:
        return Verdict(one, State.WAITING, f"tried {attempt.tries} times: {attempt.fact}", attempt.ended)
    if attempt.state == "died":
        told = attempt.fact or "its process died"
        return Verdict(one, State.FAILED, told, attempt.ended, run_id=attempt.run_id)
    left = record.left_by(attempt)
    if any(proof.unknown for proof in left):
        why = next(proof.about for proof in left if proof.unknown)
        return Verdict(one, State.UNKNOWN, why, attempt.ended, run_id=attempt.run_id)
    unfit = next((proof.why or proof.about for proof in reversed(left) if not proof.counts), "")
    if attempt.exit == 0:
        return Verdict(one, State.PROVED_NOTHING, unfit or "it left no evidence", attempt.ended, run_id=attempt.run_id)
    return Verdict(one, State.FAILED, attempt.fact or unfit, attempt.ended, run_id=attempt.run_id)


def _blocked(item: Item, record: Record, names: Collection[str]) -> tuple[State, str] | None:
    """Why an item can't be started here."""
    if not item.built:
        return State.NOT_BUILT, item.barred or "this version can't do it"
    if item.terms.on and item.terms.on not in names:
        return State.ELSEWHERE, f"on {item.terms.on}"
    if item.approval and record.approved(item) is None:
        return State.APPROVAL, item.approval
    return None


def _task(one: Occurrence, record: Record, mark: Mark | None, now: datetime, following: datetime | None) -> Verdict:
    if mark is not None and mark.kind == "done" and mark.at < one.until:
        return Verdict(one, State.DONE, mark.note, mark.at, who=mark.who)
    if now < one.until:
        return Verdict(one, State.EXPECTED if now < one.due else State.OPEN)
    late = mark if mark is not None and mark.kind == "done" else None
    return Verdict(one, State.MISSED, late.note if late else "", caught_up=late.at if late else None)


def _continuous(
    one: Occurrence, record: Record, now: datetime, names: Collection[str], rpo: timedelta | None
) -> Verdict:
    """A day of something that never ends: done when no gap in its evidence was longer than the RPO."""
    if now < one.due:
        return Verdict(one, State.EXPECTED)
    proofs = [proof for proof in record.between(one.due, one.until) if proof.counts]
    if not proofs and (blocked := _blocked(one.item, record, names)):
        return Verdict(one, blocked[0], blocked[1])
    allowed = rpo or timedelta(minutes=15)
    moments = [one.due, *(proof.at for proof in proofs), min(now, one.until)]
    gap, since = max((later - sooner, sooner) for sooner, later in pairwise(moments))
    if gap > allowed:
        return Verdict(
            one, State.MISSED, f"nothing for {gap} from {since.isoformat()}", proofs[-1].at if proofs else None
        )
    if now < one.until:
        return Verdict(one, State.RUNNING, "", proofs[-1].at if proofs else None)
    return Verdict(one, State.DONE, "", proofs[-1].at if proofs else None)


def judge_all(
    occurrences: Sequence[Occurrence],
    records: Mapping[str, Record],
    now: datetime,
    names: Collection[str] = (),
    rpo: timedelta | None = None,
    here: tzinfo = UTC,
) -> list[Verdict]:
    """What each occurrence is, in their order. here: the zone of this machine."""
    following: dict[str, datetime] = {}
    found: list[Verdict] = []
    for one in reversed(occurrences):
        record = records.get(one.item.key) or Record()
        after = following.get(one.item.key) or next_known(one, record, now, here)
        found.append(judge(one, record, now, after, names, rpo))
        following[one.item.key] = one.due
    return found[::-1]


def next_known(one: Occurrence, record: Record, now: datetime, here: tzinfo) -> datetime | None:
    """When the newest occurrence of an item is followed by another; it is only asked where it matters.

    A clock that was once days ahead has left evidence from then: it is no catching up of what is due now.
    """
    if not record.proofs or record.proofs[-1].at <= now:
        return None
    return next_due(one.item, max(now, one.due), here)
