"""The table of severities: how bad an incident is decides who is told, how often, and what is owed afterwards."""

from __future__ import annotations

from tabsync.manual.people import IncidentSeverity
from tabsync.manual.sections import Problem, Section
from tabsync.manual.tables import duration_in, names_in, records
from tabsync.manual.thresholds import NO_BOUND

_YES, _NO = ("yes", "✅", "✅️"), ("no", "❌", "❌️", *NO_BOUND)


def severities(section: Section, problems: list[Problem]) -> tuple[IncidentSeverity, ...]:
    """The severities, the worst first."""
    found: list[IncidentSeverity] = []
    for line, row in records(section, ("Severity", "Told", "Update every", "Post-mortem"), problems):
        name = row["severity"].lower()
        if not name or any(one.name == name for one in found):
            problems.append(Problem(line, f"a second severity {name!r}" if name else "a severity without a name"))
            continue
        said = row["post-mortem"].lower()
        if said not in (*_YES, *_NO):
            problems.append(Problem(line, f"Post-mortem is {row['post-mortem']!r}", "yes or no"))
        never = row["update every"].lower() in NO_BOUND
        found.append(
            IncidentSeverity(
                name=name,
                told=() if row["told"].lower() in NO_BOUND else tuple(names_in(row["told"])),
                every=None if never else duration_in(row["update every"], line, problems),
                post_mortem=said in _YES,
                line=line,
            )
        )
    return tuple(found)
