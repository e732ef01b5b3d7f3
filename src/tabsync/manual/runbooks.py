"""Runbooks: a heading, what it looks like from outside, when it has worked, and its numbered steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from markdown_it.tree import SyntaxTreeNode

from tabsync.kernel.units import parse_duration
from tabsync.manual.model import Recovery, Runbook
from tabsync.manual.sections import Problem, Section, line_of, text_of
from tabsync.manual.steps import steps_of
from tabsync.manual.thresholds import BOUND_EXPECTED, parse_bound

_WORD = re.compile(r"(Symptoms?|Recovers?):\s*(.*)", re.IGNORECASE | re.DOTALL)
_RECOVERS = re.compile(
    r"(?P<metric>[^<>≤≥]+?)\s+(?P<bound>(?:[<>]=?|[≤≥]).+?)(?:\s+for\s+(?P<lasting>[^,]+?))?(?:,?\s+within\s+(?P<within>.+?))?",
    re.IGNORECASE,
)
_EXPECTED = "'Recovers: Active connections < 80 % for 1 min', and 'within 5 min' after it if need be"
_WITHIN = timedelta(minutes=2)
"""How long a runbook's metric may take to recover, beyond the time for which it must hold, unless the line says it."""


def runbook(section: Section, problems: list[Problem]) -> Runbook | None:
    """A heading with a numbered list under it, or None when there is no such list."""
    steps = tuple(step for node in section.of_type("ordered_list") for step in steps_of(node, problems))
    if not steps:
        return None
    if len({one.number for one in steps}) < len(steps):  # several lists that each begin at 1
        steps = tuple(one.model_copy(update={"number": number}) for number, one in enumerate(steps, start=1))
    prose, symptoms, recovers = [], [], []
    for node in section.of_type("paragraph"):
        for text, quoted, line in _entries(node):
            match = _WORD.fullmatch(text)
            if match is None:
                prose.append(text)
            elif match[1].lower().startswith("symptom"):
                symptoms.append((match[2], quoted))
            elif found := _recovery(match[2], line, problems):
                recovers.append(found)
    return Runbook(
        title=section.title,
        chapter=section.above[1] if len(section.above) > 1 else "",
        symptoms=tuple(text for text, _ in symptoms),
        quoted=tuple(one for _, quoted in symptoms for one in quoted),
        recovers=tuple(recovers),
        prose="\n\n".join(prose),
        steps=steps,
        line=section.line,
    )


def _entries(paragraph: SyntaxTreeNode) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """What a paragraph says: each line that begins with a word of ours is an entry, with the lines that follow it.

    Gives the text, what stands in backticks in it, and its line.
    """
    parts: list[tuple[list[str], list[str], int]] = []
    line = line_of(paragraph)
    begins = True
    for node in (child for inline in paragraph.children for child in inline.children):
        if node.type in ("softbreak", "hardbreak"):
            begins, line = True, line + 1
            continue
        text = text_of(node)
        if not parts or (begins and _WORD.match(text)):
            parts.append(([], [], line))
        elif begins:
            parts[-1][0].append(" ")
        parts[-1][0].append(text)
        if node.type == "code_inline":
            parts[-1][1].append(node.content)
        begins = False
    for words, quoted, at in parts:
        yield " ".join("".join(words).split()), tuple(quoted), at


def _recovery(text: str, line: int, problems: list[Problem]) -> Recovery | None:
    """`Active connections < 80 % for 1 min`, or None for what isn't that, which is a problem."""
    match = _RECOVERS.fullmatch(text.strip().rstrip("."))
    if match is None:
        problems.append(Problem(line, f"Recovers: {text!r} is not understood", _EXPECTED))
        return None
    try:
        bound = parse_bound(match["bound"])
    except ValueError as error:
        problems.append(Problem(line, f"Recovers: {error}", BOUND_EXPECTED))
        return None
    try:
        lasting = parse_duration(match["lasting"]) if match["lasting"] else timedelta()
        within = parse_duration(match["within"]) if match["within"] else lasting + _WITHIN
    except ValueError as error:
        problems.append(Problem(line, f"Recovers: {error}", _EXPECTED))
        return None
    if bound is None:
        problems.append(Problem(line, f"Recovers: {text!r} has no bound", _EXPECTED))
        return None
    if within <= lasting:
        problems.append(Problem(line, f"Recovers: within {match['within']} can't be seen to hold for it", _EXPECTED))
        return None
    return Recovery(metric=match["metric"], bound=bound, lasting=lasting, within=within, text=text.strip(), line=line)
