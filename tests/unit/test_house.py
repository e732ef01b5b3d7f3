"""The house: imports point one way, and nothing grows out of its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import grimp
import pytest

SOURCE = Path(__file__).parents[2] / "src"
HIGHEST = 300
"""Lines of a file."""
FLAT = 20
"""Files directly in the folder of a chapter."""


@cache
def imports() -> Mapping[str, frozenset[str]]:
    graph = grimp.build_graph("tabsync", cache_dir=None)
    return {one: frozenset(graph.find_modules_directly_imported_by(one)) for one in graph.modules}


def folder(module: str) -> str:
    """The folder that a module lies in."""
    return module if (SOURCE / module.replace(".", "/")).is_dir() else module.rpartition(".")[0]


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components with more than one member (Tarjan)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(one: str) -> None:
        order[one] = low[one] = len(order)
        stack.append(one)
        for other in edges.get(one, ()):
            if other not in order:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], order[other])
        if low[one] == order[one]:
            members = stack[stack.index(one) :]
            del stack[stack.index(one) :]
            found.extend([sorted(members)] if len(members) > 1 else [])

    for one in edges:
        if one not in order:
            visit(one)
    return found


def test_a_circle_would_be_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c"]]
    assert circles({"a": ["b", "c"], "b": ["c"]}) == []


def test_no_circle_of_files() -> None:
    assert len(imports()) > 200
    assert circles(imports()) == []


def test_no_circle_of_folders() -> None:
    folders: dict[str, set[str]] = {}
    for one, others in imports().items():
        # The version is read from the root by whoever writes it into a record.
        there = {folder(other) for other in others if other != "tabsync"}
        folders.setdefault(folder(one), set()).update(there - {folder(one)})
    assert circles(folders) == []


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_file_is_too_long(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= HIGHEST, f"{path.name} has {lines} lines: a procedure of it may want a file of its own"


@pytest.mark.parametrize("chapter", ["audit", "audit/database", "backups", "copies", "monitoring", "init"])
def test_no_chapter_is_a_heap(chapter: str) -> None:
    assert len(list((SOURCE / "tabsync" / chapter).glob("*.py"))) <= FLAT + 1  # and __init__.py
