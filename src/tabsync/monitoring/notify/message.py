"""A message in words that a tired person understands. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from tabsync.kernel.plain import in_one_line
from tabsync.kernel.units import human_seconds
from tabsync.monitoring.alerts.episode import BEFORE, NOTICES, OVER, Episode
from tabsync.monitoring.notify.who import END, REMINDER, RISEN
from tabsync.monitoring.words import shortened

MOST = 20
"""How many alerts are told in full in one message; the others in a line each."""

_LONGEST = 200  # characters of a subject
_ODD = re.compile(r"[^A-Za-z0-9 .-]")


@dataclass(frozen=True, slots=True)
class Part:
    """One alert within a message. id: of the delivery, episode/contact/event; link: where to acknowledge, or "";
    console: where people reach the console, or ""."""

    episode: Episode
    event: str
    id: str
    link: str = ""
    console: str = ""


def id_of(episode: str, contact: str, event: str) -> str:
    """The id of a delivery. It goes along as a header, several of them with commas between: plain letters only."""
    plain = _ODD.sub(lambda found: f"_{ord(found[0]):x}_", contact)
    return f"{episode}/{plain}/{event}"


def subject_of(parts: Sequence[Part], name: str) -> str:
    """The subject line. name: of the database."""
    first = min(parts, key=_rank)
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    test = "[TEST] " if any(one.episode.is_test for one in parts) else ""
    return in_one_line(f"{test}{_headline(first)}{more} ({name})")[:_LONGEST]


def text_of(parts: Sequence[Part], name: str, here: tzinfo, now: datetime) -> str:
    """The whole text: each alert with what it means, since when, its value against its bound, and what to do."""
    blocks = ["\n".join(_lines(one, here, now)) for one in parts[:MOST]]
    if rest := parts[MOST:]:  # each is named: whoever is told of it must be able to find it
        said = [in_one_line(_headline(one)) for one in rest]
        blocks.append("\n".join([*said, "all that is to know of these: tabsync alert list"]))
    foot = f"{name}, told by tabsync at {_moment(now, here)}\ndelivery: {', '.join(one.id for one in parts[:MOST])}"
    return "\n\n".join([*blocks, foot]) + "\n"


def offer_of(episode: Episode) -> str:
    """The command that opens an incident for an alert, or lets it join the one that is open."""
    title = shortened(episode.key.rule).replace('"', "'").replace("\\", "").replace("$", "").replace("`", "")
    return f'tabsync incident open "{in_one_line(title)}" --alert {episode.id}'


def _rank(part: Part) -> tuple[bool, bool, bool]:
    over = not part.episode.is_open
    return over, part.episode.level != "critical", over and part.event != END


def _headline(part: Part) -> str:
    if part.episode.key.kind in NOTICES:
        return str(part.episode.facts.get("text", ""))
    return f"{_word(part)}: {_what(part.episode)}"


def _word(part: Part) -> str:
    if part.event == END:
        return "ENDED" if part.episode.facts.get(OVER) else "RECOVERED"
    if not part.episode.is_open:
        return f"WAS {part.episode.level.upper()}"
    if part.event == RISEN:
        return "NOW CRITICAL"
    if part.event.startswith(REMINDER):
        return f"STILL {part.episode.level.upper()}"
    return part.episode.level.upper()


def _what(episode: Episode) -> str:
    label = f", {shortened(episode.key.label)}" if episode.key.label else ""
    metric = episode.facts.get("metric") or episode.key.rule
    text = episode.facts.get("text", "")
    return f"{BEFORE.get(episode.key.kind, '')}{metric}{label}" + (f": {text}" if text else "")


def _lines(part: Part, here: tzinfo, now: datetime) -> list[str]:
    episode, facts = part.episode, part.episode.facts
    said = [_headline(part)]
    if episode.key.kind in NOTICES:
        return [in_one_line(one) for one in [*said, *map(str, facts.get("lines", ()))]]
    if episode.is_test:
        said.append("This is a TEST: the value is made up, and there is nothing to do.")
    began = f"since {_moment(episode.began_at, here)}, {human_seconds(_lasted(episode, now))}"
    if part.event == END and episode.ended_at:
        worst = (facts.get("worst") or {}).get("text", "")
        said.append(f"It lasted {human_seconds(_lasted(episode, now))}, until {_moment(episode.ended_at, here)}.")
        said += [f"The worst value was {worst}."] if worst else []
        if facts.get(OVER):
            said.append(f"It was not measured to be well: {facts[OVER]}.")
        value = (facts.get("now") or {}).get("text", "") if not facts.get(OVER) else ""
        return [in_one_line(one) for one in [*said, *([f"Now: {value}"] if value else [])]]
    said.append(began)
    if facts.get("bound"):
        said.append(f"bound: {facts['bound']}")
    for name, words in (("trend", "trend: "), ("why", "why: "), ("note", ""), ("meaning", ""), ("impact", "impact: ")):
        if facts.get(name):
            said.append(f"{words}{facts[name]}")
    if facts.get("action"):
        said.append(f"action: {facts['action']}")
    if facts.get("runbook"):
        said.append(f"how: tabsync manual show '{facts['runbook']}'")
    if episode.is_open and not episode.is_acknowledged:
        said.append(f"to acknowledge: {part.link}" if part.link else f"to acknowledge: tabsync alert ack {episode.id}")
    if episode.is_open and episode.level == "critical" and not episode.is_test and episode.key.kind != "incident":
        said.append(f"to keep an incident: {offer_of(episode)}")
        said += [f"or with a button: {part.console.rstrip('/')}/alerts/{episode.id}"] if part.console else []
    return [in_one_line(one) for one in said]


def _lasted(episode: Episode, now: datetime) -> float:
    return ((episode.ended_at or now) - episode.began_at).total_seconds()


def _moment(at: datetime, here: tzinfo) -> str:
    return f"{at.astimezone(here):%a %d %b %H:%M:%S %Z}"
