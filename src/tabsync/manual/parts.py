"""The smaller parts of a manual: checklists, the schedule, labels, documents."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

UnitKind = Literal["count", "seconds", "bytes", "percent"]
Operator = Literal[">", ">=", "<", "<="]


class Policy(BaseModel):
    """The base of everything in the model: read, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unit(Policy):
    """What a number counts. noun: "connections", for people; per: "hour" when it is a rate, else ""."""

    kind: UnitKind
    noun: str = ""
    per: str = ""


class Comparison(Policy):
    """One comparison of a bound, in base units: seconds, bytes, percent or a plain count."""

    operator: Operator
    value: float
    unit: Unit


class Bound(Policy):
    """One cell of the thresholds; it is reached when all of its comparisons hold."""

    text: str
    comparisons: tuple[Comparison, ...]


class Command(Policy):
    """A tabsync command as one would type it, without the word tabsync. `<name>` stands for a word to fill in."""

    text: str
    words: tuple[str, ...]
    line: int


class Link(Policy):
    """A link or a picture. target: as it is written; beside: the paragraph, item or cell that it stands in."""

    target: str
    beside: str
    line: int


BY = re.compile(r"\s*\(by: (\w+)\)\s*$")
"""What a box ends with that is a fact: `- [ ] Disaster recovery was tested (by: drill)`."""

BOX_FACTS = ("timeline", "cause", "actions", "manual", "drill")
"""What a fact may be: the timeline is kept; the root cause is written down; what is to be done is done, and there is
something; the manual was changed since; a drill that passed is newer than the incident."""


class ChecklistItem(Policy):
    """One box to tick."""

    text: str
    line: int


class Checklist(Policy):
    """A list of boxes under a heading."""

    title: str
    items: tuple[ChecklistItem, ...]
    line: int


class EnumLabel(Policy):
    """What the manual says of one label of an enum type."""

    type: str
    label: str
    state: Literal["in use", "retained", "removed"]
    note: str
    line: int


class Document(Policy):
    """Which edition this is, and when somebody has to read it through again."""

    version: str = ""
    updated: date | None = None
    next_review: date | None = None
    line: int = 0


class Heading(Policy):
    """A heading of the file, for tables of contents."""

    title: str
    level: int
    line: int
