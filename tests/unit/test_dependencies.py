"""What is imported is declared: what only comes along with another package goes when that one changes its mind."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"tabsync", "tests", "benchmarks", "soak", "scripts"}
_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)


def normal(name: str) -> str:
    """The name of a distribution as indexes compare it: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[<>=!~\[; ]", one, maxsplit=1)[0]) for one in requirements}


RUN = declared(PROJECT["dependencies"])
DEV = RUN | declared(PROJECT["optional-dependencies"]["dev"])


@cache
def providers() -> Mapping[str, set[str]]:
    """The distributions that have each module that can be imported here."""
    return {module: {normal(one) for one in names} for module, names in packages_distributions().items()}


def imported(source: str) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def undeclared(source: str, allowed: set[str]) -> set[str]:
    """What a file imports of distributions that aren't allowed."""

    def strays(modules: set[str]) -> set[str]:
        known = {one for one in modules if one not in sys.stdlib_module_names and one not in OURS}
        return {one for one in known if one in providers() and not providers()[one] & allowed}

    # A pattern is quick, and finds SQL as well: only a file in which it finds something is parsed.
    return strays(imported(source)) if strays(set(_IMPORT.findall(source))) else set()


def files() -> Iterator[tuple[Path, set[str]]]:
    for folder, allowed in (("src", RUN), ("tests", DEV), ("benchmarks", DEV), ("soak", DEV), ("scripts", DEV)):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, allowed


def test_every_import_is_of_a_declared_package() -> None:
    looked = {path.relative_to(ROOT).as_posix(): undeclared(path.read_text(), allowed) for path, allowed in files()}
    assert len(looked) > 400
    assert {path: names for path, names in looked.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "strays"),
    [
        ("import grimp", {"grimp"}),
        ("def f():\n    from grimp.application import ports", {"grimp"}),
        ("import psycopg\nQUERY = '''select 1\nfrom grimp'''", set()),
        ("from . import grimp", set()),
        ("import h11, json", set()),
    ],
)
def test_an_import_that_only_comes_along_is_found(source: str, strays: set[str]) -> None:
    assert undeclared(source, RUN) == strays
