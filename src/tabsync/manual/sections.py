"""Markdown as a list of sections: a heading, what stands directly under it, and the headings above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a manual: where, what, and what was expected instead."""

    line: int
    what: str
    expected: str = ""

    def described(self, file: str) -> str:
        """`FILE:LINE: what is wrong, what was expected`."""
        return f"{file}:{self.line}: {self.what}" + (f", expected {self.expected}" if self.expected else "")


@dataclass(slots=True)
class Section:
    """A heading with the nodes directly under it; `above` are the titles of the headings that hold it."""

    title: str
    level: int
    line: int
    above: tuple[str, ...] = ()
    nodes: list[SyntaxTreeNode] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The title as sections are recognised by it: no number in front, no case."""
        return normalized(self.title)

    def of_type(self, *types: str) -> Iterator[SyntaxTreeNode]:
        """The nodes of some types that stand directly under the heading."""
        return (node for node in self.nodes if node.type in types)

    def prose(self) -> str:
        """The paragraphs directly under the heading."""
        return "\n\n".join(text_of(node) for node in self.of_type("paragraph"))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by column number."""

    cells: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its header and its rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    line: int


def unnumbered(title: str) -> str:
    """'2. Alert  Thresholds' -> 'Alert Thresholds'."""
    return " ".join(re.sub(r"^[\d.\s]+", "", title).split())


def normalized(title: str) -> str:
    """'2. Alert  Thresholds' -> 'alert thresholds'."""
    return unnumbered(title).lower()


def split(text: str) -> tuple[SyntaxTreeNode, list[Section]]:
    """Parse Markdown (CommonMark with tables); returns the tree and its sections in order."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))
    sections: list[Section] = []
    open_sections: list[Section] = []
    for node in tree.children:
        if node.type == "heading":
            level = int(node.tag[1:])
            open_sections = [section for section in open_sections if section.level < level]
            above = tuple(section.title for section in open_sections)
            open_sections.append(Section(text_of(node), level, line_of(node), above))
            sections.append(open_sections[-1])
        elif sections:
            sections[-1].nodes.append(node)
    return tree, sections


def line_of(node: SyntaxTreeNode) -> int:
    """The line (from 1) on which a node begins."""
    return node.map[0] + 1 if node.map else 0


def text_of(node: SyntaxTreeNode) -> str:
    """What a person reads in a node: no emphasis marks, code without its backticks, links as their text."""
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type == "html_inline":
        return " " if _BREAK.fullmatch(node.content) else node.content
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(text_of(child) for child in node.children).strip() if node.type == "inline" else _joined(node)


def _joined(node: SyntaxTreeNode) -> str:
    return "".join(text_of(child) for child in node.children)


def table_of(node: SyntaxTreeNode) -> Table:
    """A table node's texts."""
    head, *bodies = node.children
    columns = tuple(text_of(cell) for cell in head.children[0].children)
    rows = tuple(
        Row(tuple(text_of(cell) for cell in row.children), line_of(row)) for body in bodies for row in body.children
    )
    return Table(columns, rows, line_of(node))


def items_of(node: SyntaxTreeNode) -> Iterator[tuple[SyntaxTreeNode, str]]:
    """The items of a list with the text of their own first paragraph (nested lists left out)."""
    for item in node.children:
        paragraphs = [text_of(child) for child in item.children if child.type == "paragraph"]
        yield item, paragraphs[0] if paragraphs else ""


def links_of(node: SyntaxTreeNode, line: int = 1) -> Iterator[tuple[str, str, int]]:
    """The links and pictures: where each leads, the text that it stands in, and its line.

    line: of what holds the node: the cells of a table don't know theirs.
    """
    for child in node.children:
        begins = line_of(child) or line
        if child.type != "inline":
            yield from links_of(child, begins)
            continue
        for one in child.walk():
            begins += one.type in ("softbreak", "hardbreak")
            target = one.attrs.get({"link": "href", "image": "src"}.get(one.type, ""), "")
            if target:
                yield str(target), text_of(child), begins


def unclosed_fences(tree: SyntaxTreeNode, text: str) -> Iterator[int]:
    """The lines of fences that nothing closes: Markdown lets them run to the end of what holds them."""
    lines = re.split(r"\r\n|\r|\n", text)  # what Markdown calls a line; splitlines() knows more kinds of ends
    for node in tree.walk():
        if node.type != "fence" or node.map is None:
            continue
        last = lines[node.map[1] - 1].strip(" >\t") if node.map[1] <= len(lines) else ""
        closed = node.map[1] - node.map[0] > 1 and set(last) == {node.markup[0]} and len(last) >= len(node.markup)
        if not closed:
            yield line_of(node)
