"""The items of the Schedule, as the ledger keeps them: what is due, when, and what shows that it was done."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from tabsync.kernel.procedure import Procedure
from tabsync.kernel.step import Facts
from tabsync.manual.model import Manual
from tabsync.manual.terms import ScheduleItem, Terms
from tabsync.manual.when import DAY, WINDOW, When
from tabsync.procedures import named_in

OUTPUT = "output"
"""The kind of evidence that a procedure leaves which only reports: what it printed."""


def output_of(key: str) -> str:
    """That kind as the ledger has it, one for each item: to find what one of them printed, nothing else is read."""
    return f"{OUTPUT} {key}"


_LONGEST_NAME = 40
_SECRET = re.compile(r"://[^/\s@]*:[^\s]*@|passw(?:or)?d\s*=|[?&](?:sig|secret|token|key)=", re.IGNORECASE)
_NO_SECRETS = "a secret stands in it, which belongs into the environment"
_BEFORE_REVIEW = 14 * DAY  # seconds before its date from which the manual's own review is open


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the schedule.

    key: what it is, through all editions: its command, or the text of a task; name: what one types; words: of its
    command, () for a task; evidence: the kind that shows it was done; fits: the function that says why some doesn't;
    approval: why it has to be approved, "" when it needn't; built: whether it can be started; barred: why a program
    that has it doesn't start it all the same; bound: a digest of what else of the manual is
    approved with it; first: it is new, and nothing shows that it was ever done;
    day: the date of a task that has one.
    """

    key: str
    name: str
    text: str
    when: When
    terms: Terms
    words: tuple[str, ...] = ()
    line: int = 0
    built: bool = True
    evidence: str = ""
    fits: str = ""
    approval: str = ""
    first: bool = False
    day: date | None = None
    barred: str = ""
    bound: str = ""

    @property
    def cant_start(self) -> str:
        """Why it is never started here."""
        return "" if self.built else self.barred or f"this version can't do {self.name}"

    @property
    def is_task(self) -> bool:
        """Whether a person does it."""
        return not self.words

    @property
    def is_gate(self) -> bool:
        """Whether it belongs to an occasion, and not to a clock."""
        return self.when.kind == "before"

    @property
    def is_frequent(self) -> bool:
        """Whether it is due so often that nobody wants to read each time of it: hourly, or more often."""
        return self.when.kind in ("clock", "every") and 0 < self.when.period <= 3_600

    @property
    def window(self) -> int:
        """Seconds in which it has to be done once it is due."""
        if self.day is not None:
            return _BEFORE_REVIEW + DAY
        if self.terms.within or self.when.window:
            return self.terms.within or self.when.window
        if self.when.kind == "every" or self.is_task:
            return self.when.period
        return WINDOW.get(self.when.name, DAY)

    @property
    def limit(self) -> int:
        """Seconds after which a run of it is ended."""
        return self.terms.within or max(self.window, self.when.period, 600)

    @property
    def text_digest(self) -> str:
        """What an approval is bound to: the item's text and its command, and what else of the manual decides."""
        return hashlib.sha256("\n".join(filter(None, (self.text, self.key, self.bound))).encode()).hexdigest()

    @property
    def schedule(self) -> str:
        """When it is due, in words: "daily 02:00 Europe/Berlin"."""
        if self.day is not None:
            return f"by {self.day}"
        moment = self.when.hour_and_minute
        parts = [self.when.name, _days(self.when), f"{moment:%H:%M}" if moment else "", self.when.zone]
        if self.when.end:
            parts.insert(2, f"{self.when.begin // 60:02}:{self.when.begin % 60:02}-{_clock(self.when.end)}")
        return " ".join(part for part in parts if part)

    def to_json(self) -> Facts:
        """The item as the ledger keeps it."""
        return {
            "key": self.key,
            "name": self.name,
            "text": self.text,
            "when": self.when.model_dump(exclude_defaults=True) | {"kind": self.when.kind, "name": self.when.name},
            "terms": self.terms.model_dump(mode="json", exclude_defaults=True),
            "words": list(self.words),
            "line": self.line,
            "built": self.built,
            "evidence": self.evidence,
            "fits": self.fits,
            "approval": self.approval,
            "first": self.first,
            "barred": self.barred,
            "bound": self.bound,
            "day": self.day.isoformat() if self.day else None,
        }


def item_from_json(data: Facts) -> Item:
    """The inverse of Item.to_json."""
    when = data["when"] | {"days": tuple(data["when"].get("days", ()))}
    terms: dict[str, Any] = dict(data["terms"])
    if "at" in terms:
        terms["at"] = time.fromisoformat(terms["at"])
    rest = {key: value for key, value in data.items() if key not in ("when", "terms", "words", "day")}
    return Item(
        when=When.model_construct(**when),
        terms=Terms.model_construct(**terms),
        words=tuple(data["words"]),
        day=date.fromisoformat(data["day"]) if data.get("day") else None,
        **rest,
    )


def items_of(manual: Manual) -> tuple[Item, ...]:
    """The items of a manual's schedule, with its own review; those whose heading isn't understood are left out."""
    found: list[Item] = []
    taken: set[str] = set()
    for one in manual.schedule:
        if one.when is not None:
            found.append(_item(one, taken, manual))
    review = manual.document.next_review
    if review is not None:
        name = _free("review-the-manual", taken)
        task = When(kind="clock", name="once")
        found.append(Item("next review of the manual", name, "Review the manual", task, Terms(), day=review))
    return tuple(found)


def _item(one: ScheduleItem, taken: set[str], manual: Manual) -> Item:
    when = one.when or When(kind="before", name=one.frequency)
    if one.command is None:
        gate = f" ({when.name})" if when.kind == "before" else ""
        return Item(f"task: {one.text}{gate}", _free(one.text, taken), one.text, when, one.terms, line=one.line)
    words, secret = without_secrets(one.command.words)
    named = named_in(words)
    procedure = named[0] if named else None
    gate = f" ({when.name})" if when.kind == "before" else ""
    return Item(
        key=(" ".join(words) if secret else one.command.text) + gate,
        name=_free(" ".join(words), taken),
        text=one.text.removesuffix(f"tabsync {one.command.text}").rstrip(" :") or " ".join(words),
        when=when,
        terms=one.terms,
        words=words,
        line=one.line,
        built=procedure is not None and not barred(procedure, when) and not secret,
        bound=_bound(procedure, manual) if procedure else "",
        barred=secret or (barred(procedure, when) if procedure else ""),
        evidence=_evidence(procedure, words) if procedure else "",
        fits=procedure.fits if procedure else "",
        approval=_approval(procedure, words) if procedure else "",
    )


def without_secrets(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The words of a command without its secrets, and why it isn't started if it has some: everybody would see them."""
    plain = tuple("***" if _SECRET.search(word) else word for word in words)
    return plain, _NO_SECRETS if plain != tuple(words) else ""


def barred(procedure: Procedure, when: When | None = None) -> str:
    """Why neither a schedule nor a gate starts a procedure, "" when they may. when: of its heading."""
    if not procedure.by_itself:
        return f"only a person starts {procedure.words}"
    if when is not None and when.kind == "continuous" and not procedure.endless:
        return f"{procedure.words} ends by itself, so it belongs under a heading such as 'Every 10 minutes'"
    return ""


def _approval(procedure: Procedure, words: Sequence[str]) -> str:
    return procedure.approval if not procedure.approval_if or procedure.approval_if in words else ""


def _bound(procedure: Procedure, manual: Manual) -> str:
    if procedure.approval_binds != "retention":
        return ""
    rows = sorted((row.name, row.retention.total_seconds(), *row.stores) for row in manual.retention)
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _evidence(procedure: Procedure, words: Sequence[str]) -> str:
    special = (kind for word, kind in procedure.evidence_for.items() if word in words)
    return next(special, procedure.evidence) or OUTPUT


def _free(text: str, taken: set[str]) -> str:
    slug = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", text.lower())).strip("-") or "item"
    short = slug if len(slug) <= _LONGEST_NAME else slug[:_LONGEST_NAME].rsplit("-", 1)[0]
    name, number = short, 2
    while name in taken:
        name, number = f"{short}-{number}", number + 1
    taken.add(name)
    return name


def gates_of(items: Iterable[Item]) -> dict[str, list[Item]]:
    """The items of each gate, by its name without "before"."""
    found: dict[str, list[Item]] = {}
    for one in items:
        if one.is_gate:
            found.setdefault(one.when.name.removeprefix("before "), []).append(one)
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _days(when: When) -> str:
    names = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
    if when.kind == "every":
        return ",".join(names[day] for day in when.days)
    fields = when.cron.split()
    if len(fields) < 5:
        return ""
    day, weekday = fields[2], fields[4]
    if weekday[:1].isdigit():
        spelled = [names[int(one[0])] + _nth(one[1:]) for one in weekday.split(",")]
        return ",".join(spelled)
    return "" if day == "*" else "last day" if day == "L" else f"day {day}"


def _nth(rest: str) -> str:
    if rest == "L":
        return " (last)"
    return f" ({rest[1:]}.)" if rest.startswith("#") else ""
