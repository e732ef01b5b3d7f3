"""What a procedure has to say at its end, for people and for programs; the surfaces decide how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

from tabsync.kernel.errors import Exit, TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.step import Facts, Risk

Style: TypeAlias = Literal[
    "", "good", "warning", "bad", "strong", "quiet", "strong good", "strong warning", "strong bad"
]
Part: TypeAlias = str | tuple[str, Style]
Cell: TypeAlias = Part


NOT_KEPT = "(not kept on record)"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text. whole: it holds something to be copied, and is never broken."""

    parts: tuple[Part, ...]
    whole: bool = False

    @property
    def text(self) -> str:
        """Its text, without styles."""
        return "".join(part if isinstance(part, str) else part[0] for part in self.parts)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark beside the result. word: "note" or "hint"."""

    text: str
    word: str = "note"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings. right: headings whose column is of numbers; whole: whose cells are never broken."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    heading: bool = True
    title: str = ""


_RISKS: dict[Risk, Style] = {Risk.READ: "quiet", Risk.REVERSIBLE: "warning", Risk.DESTRUCTIVE: "strong bad"}

Block: TypeAlias = Line | Note | Table


@dataclass(slots=True)
class Page:
    """The result of a procedure.

    kind, data: as JSON; kind "": data is the whole document. error: what stopped it in the middle; what there is to
    show is shown before it is raised. private: headings, and names in data, under which stands what nobody is to read
    in a year, as the text of statements; "*" stands for all of the page. Such is shown, and not put on record.
    """

    kind: str
    data: Facts = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    exit_code: Exit = Exit.DONE
    error: TabsyncError | None = None
    private: tuple[str, ...] = ()

    def line(self, *parts: Part, style: Style = "", whole: bool = False) -> None:
        """Add a line. style: of all of its parts that have none of their own."""
        styled = (part if isinstance(part, tuple) or not style else (part, style) for part in parts)
        self.blocks.append(Line(tuple(styled), whole))

    def table(
        self,
        columns: Iterable[str],
        rows: Iterable[Sequence[Cell]],
        *,
        right: Iterable[str] = (),
        whole: Iterable[str] = (),
        heading: bool = True,
        title: str = "",
    ) -> None:
        """Add a table."""
        cells = tuple(tuple(row) for row in rows)
        self.blocks.append(Table(tuple(columns), cells, tuple(right), tuple(whole), heading, title))

    @property
    def headline_block(self) -> Line | None:
        """The line that says what came of it: the first that is marked as a verdict, else the first."""
        lines = [one for one in self.blocks if isinstance(one, Line) and one.text]
        verdicts = [one for one in lines if any(isinstance(part, tuple) and " " in part[1] for part in one.parts)]
        return next(iter(verdicts or lines), None)

    @property
    def headline(self) -> str:
        """Its text."""
        found = self.headline_block
        return found.text if found else ""

    def note(self, text: str) -> None:
        """Add a remark beside the result."""
        self.blocks.append(Note(text))

    def hint(self, text: str) -> None:
        """Add what to do about something."""
        self.blocks.append(Note(text, "hint"))

    def to_json(self) -> Facts:
        """The document for programs."""
        return {"version": 1, "kind": self.kind, **self.data} if self.kind else self.data


def page_of_plan(plan: Plan) -> Page:
    """A plan, as --dry-run shows it: exactly what would run."""
    page = Page("plan", {"digest": plan.digest(), **plan.to_json()})
    page.line(plan.title, style="strong")
    for number, step in enumerate(plan.steps, start=1):
        page.line(f"{number:>2}  {step.title}", (f"  {step.risk.value}", _RISKS[step.risk]), whole=True)
        for line in step.preview.splitlines():
            page.line(f"    {line}", style="quiet", whole=True)  # a command is copied: it is never broken
    page.line(f"Nothing was changed. Plan {plan.digest()[:12]}.")
    return page


def blocks_to_json(page: Page) -> list[Facts]:
    """What a page shows, as JSON, so that it can be shown again later."""
    return [{"block": type(one).__name__.lower(), **asdict(one)} for one in page.blocks]


def to_record(page: Page) -> Page:
    """The page without what is private."""
    if "*" in page.private:
        kept = Page(page.kind, exit_code=page.exit_code)
        kept.line(NOT_KEPT, style="quiet")
        return kept
    blocks = [_public(one, page.private) if isinstance(one, Table) else one for one in page.blocks]
    return replace(page, data=_without(page.data, page.private), blocks=blocks)


def _public(table: Table, private: Sequence[str]) -> Table:
    hidden = [one in private for one in table.columns]
    rows = (
        tuple(NOT_KEPT if hide and cell else cell for hide, cell in zip(hidden, row, strict=True)) for row in table.rows
    )
    return replace(table, rows=tuple(rows))


def _without(data: Any, private: Sequence[str]) -> Any:
    if isinstance(data, dict):
        return {key: _without(value, private) for key, value in data.items() if key not in private}
    return [_without(one, private) for one in data] if isinstance(data, list | tuple) else data


def page_of_blocks(kind: str, blocks: Iterable[Facts]) -> Page:
    """A page that shows what was kept; the inverse of blocks_to_json."""
    page = Page(kind)
    for one in blocks:
        given = {key: value for key, value in one.items() if key != "block"}
        if one["block"] == "line":
            page.blocks.append(Line(tuple(_part(part) for part in given["parts"]), given["whole"]))
        elif one["block"] == "note":
            page.blocks.append(Note(**given))
        else:
            rows = tuple(tuple(_part(cell) for cell in row) for row in given["rows"])
            many = {name: tuple(given[name]) for name in ("columns", "right", "whole")}
            page.blocks.append(Table(rows=rows, heading=given["heading"], title=given["title"], **many))
    return page


def _part(found: Any) -> Part:
    return found if isinstance(found, str) else (found[0], found[1])
