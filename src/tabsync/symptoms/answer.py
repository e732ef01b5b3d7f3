"""Which runbooks fit a text, in order, each with why; or why none does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tabsync.symptoms.match import Found, causes_of, hits_of
from tabsync.symptoms.others import without_others
from tabsync.symptoms.own import Runbook, Said, said_of, spoken_of
from tabsync.symptoms.text import read

_FIRES = 8
"""What a runbook's own alert adds, when it fires now: it decides between two, and makes none of its own."""

_LEAST = 60
"""How far below the best one a cause may be and still be told."""

_MOST = 5
"""How many are told."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A runbook that fits, or a cause for which this manual has none (runbook "").

    score: the higher the likelier; because: what points to it; found: the cause, if it is one that we know; fires: what
    its alert says now, "".
    """

    runbook: str
    score: int
    because: tuple[str, ...]
    found: Found | None = None
    fires: str = ""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        cause = self.found.cause if self.found else None
        told = {"cause": cause.name, "says": cause.says, "apart": cause.apart, "pool": cause.pool} if cause else {}
        return {
            "runbook": self.runbook,
            "score": self.score,
            "because": list(self.because),
            "fires": self.fires,
            "cause": None,
            "says": "",
            "apart": "",
            "pool": "",
        } | told


@dataclass(frozen=True, slots=True)
class Answer:
    """What a text means.

    fits: runbooks, and causes that have none in this manual, the likeliest first; refused: what it is instead, when the
    database only refuses what the application asked for; (): it is unknown.
    """

    fits: tuple[Fit, ...] = ()
    refused: tuple[Found, ...] = ()
    firing: Mapping[str, str] = field(default_factory=dict)


def answer(text: str, runbooks: Iterable[Runbook], firing: Mapping[str, str] | None = None) -> Answer:
    """Find the runbooks that fit a pasted text. firing: what alerts say now, by the title of their runbook."""
    pasted, known, firing = read(text), tuple(runbooks), dict(firing or {})
    hits = hits_of(pasted)
    found = causes_of(pasted, hits)
    said = said_of(without_others(pasted), hits, known) or ({} if found else spoken_of(pasted, known))
    best = max([one.score for one in found] + [one.score for one in said.values()], default=0)
    if found and not found[0].cause.runbooks and all(one.score < found[0].score for one in said.values()):
        return Answer(refused=tuple(one for one in found if not one.cause.runbooks and one.score > best - 20)[:_MOST])
    fits = _of_causes([one for one in found if one.cause.runbooks], known)
    fits += [Fit(title, one.score, one.because) for title, one in said.items()]
    fits = [_with_alert(one, firing) for one in fits if one.score > best - _LEAST]
    return Answer(tuple(_each_once(sorted(fits, key=lambda one: -one.score), said))[:_MOST], firing=firing)


def _of_causes(found: list[Found], known: tuple[Runbook, ...]) -> list[Fit]:
    titles = {_plain(one.title): one.title for one in known}
    fits = []
    for one in found:
        title = next((titles[_plain(name)] for name in one.cause.runbooks if _plain(name) in titles), "")
        fits.append(Fit(title, one.score, one.because, one))
    return fits


def _with_alert(fit: Fit, firing: Mapping[str, str]) -> Fit:
    told = firing.get(fit.runbook, "") if fit.runbook else ""
    return Fit(fit.runbook, fit.score + _FIRES, fit.because, fit.found, told) if told else fit


def _each_once(fits: list[Fit], said: Mapping[str, Said]) -> list[Fit]:
    """Each runbook once for each of its causes; what the manual says of it goes to the cause that is the likeliest."""
    kept: list[Fit] = []
    for one in fits:
        same = next((at for at, other in enumerate(kept) if one.runbook and other.runbook == one.runbook), None)
        if same is None or (one.found and kept[same].found):
            kept.append(one)
            continue
        first, second = kept[same], one
        both = tuple(dict.fromkeys(first.because + second.because))
        kept[same] = Fit(first.runbook, first.score, both, first.found or second.found, first.fires)
    return kept


def _plain(title: str) -> str:
    return " ".join(title.replace("’", "'").lower().split())
