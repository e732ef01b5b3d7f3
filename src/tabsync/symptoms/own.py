"""What the manual itself says of its runbooks: their Symptoms, and in a person's own words their titles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tabsync.symptoms.match import Hits, find, is_quoted
from tabsync.symptoms.table import Pattern, says_enough
from tabsync.symptoms.text import Pasted, normal

LITERAL = 92
"""What four words or more say that stand in the manual as in the text: its own words come before what we know."""

SHORT = 70
"""What fewer words say, like "connection refused": less than what we know more exactly."""

SPOKEN = 45
"""What a person's own words say, at most."""

_FEW = 240  # characters: a longer text is pasted, and not a person's own words
_PHRASES = re.compile(r"`|[()“”\"\n]|[,;.]\s|\bor\s|\bsymptoms?:|\bfatal:|\berror:", re.IGNORECASE)
_CODES = re.compile(r"\b[A-Z]{1,6}[0-9]{2,5}\b|\b[0-9]{2}[0-9A-Z]{3}\b|\bE[A-Z]{5,20}\b")
_WORDS = re.compile(r"[^\W\d_]{3,}")
_STOP = frozenset(
    _WORDS.findall(
        "the and are for was were not with have has had this that all any can our its out from into but too very more"
        " than when where what why how you your there here now error errors database postgres postgresql server fatal"
    )
)


@dataclass(frozen=True, slots=True)
class Runbook:
    """A runbook of the manual. symptoms: each of its Symptoms lines; quoted: what stands in them word for word."""

    title: str
    symptoms: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """How well a runbook's own words fit, and which they are."""

    score: int
    because: tuple[str, ...]


def said_of(pasted: Pasted, hits: Hits, runbooks: Iterable[Runbook]) -> dict[str, Said]:
    """The runbooks whose symptoms are in a text word for word, by their titles."""
    found = {one.title: _literal(pasted, hits, one) for one in runbooks}
    return {title: one for title, one in found.items() if one is not None}


def spoken_of(pasted: Pasted, runbooks: Iterable[Runbook]) -> dict[str, Said]:
    """The runbooks that a person may mean who says it in a few words, by their titles."""
    if len(pasted.words) > _FEW:
        return {}
    found = {one.title: said for one in runbooks if (said := _spoken(pasted, one)) is not None}
    best = max((one.score for one in found.values()), default=0)
    return {title: one for title, one in found.items() if one.score > best * 2 / 3}


def _literal(pasted: Pasted, hits: Hits, runbook: Runbook) -> Said | None:
    symptoms = "\n".join(runbook.symptoms)
    said = dict.fromkeys([*runbook.quoted, *(one.strip() for one in _PHRASES.split(symptoms))])
    phrases = [one for one in said if _has(pasted, hits, one)]
    codes = [code for code in dict.fromkeys(_CODES.findall(symptoms)) if code in pasted.codes | pasted.states]
    because = [f"the manual's symptom “{one}”" for one in phrases] + [f"the manual's code {code}" for code in codes]
    if not because:
        return None
    is_long = bool(codes) or any(len(one.split()) >= 4 for one in phrases)
    return Said((LITERAL if is_long else SHORT) + min(6, 2 * (len(because) - 1)), tuple(dict.fromkeys(because)))


def _spoken(pasted: Pasted, runbook: Runbook) -> Said | None:
    asked, known = _stems(pasted.words), _stems(f"{runbook.title} {' '.join(runbook.symptoms)}")
    same = asked & known
    if not same or (len(same) < 2 < len(asked)):
        return None
    share = len(same) / min(len(asked), len(known))
    return Said(round(SPOKEN * share), (f"its own words: {', '.join(sorted(same))}",)) if share >= 0.4 else None


def _has(pasted: Pasted, hits: Hits, phrase: str) -> bool:
    """Whether a symptom is in a text; what says too little, like "time-outs", counts nowhere."""
    parts = (normal(phrase),)
    if len(phrase) < 12 or not says_enough(parts):
        return False
    start, _ = find(Pattern(parts, phrase), pasted)
    return start >= 0 and not is_quoted(start, hits, pasted)


def _stems(text: str) -> set[str]:
    """Words without their endings, so that "payment fails" is "payments failing"."""
    words = {word for word in _WORDS.findall(text.lower()) if word not in _STOP}
    return {re.sub(r"(?:ings?|ed|es|s|e|ion|ions)$", "", word) if len(word) > 4 else word for word in words}
