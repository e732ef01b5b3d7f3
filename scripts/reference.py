"""Writes docs/reference/: a page for each procedure, from its declaration, and a list of them by chapter.

A page of a procedure that is gone is deleted. tests/unit/test_reference.py says when the pages are old.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import click

import tabsync
from tabsync.cli.procedures import surfaces_of
from tabsync.cli.tree import build
from tabsync.kernel.procedure import Group, Procedure, Surface
from tabsync.kernel.request import Field, Option
from tabsync.procedures import all_groups, all_procedures, use
from tabsync.system.profiles import load_profile

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
GENERATED = "<!-- Written by `make docs` from the declaration of the procedure. -->"
_LIST = "README.md"
_PROGRAM = "The program itself"


def main() -> int:
    """Write what changed, delete what is gone, and say both."""
    use(load_profile("tabsync"))
    REFERENCE.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    old = differences(REFERENCE, wanted)
    for name in old:
        if name in wanted:
            (REFERENCE / name).write_text(wanted[name], encoding="utf-8")
        else:
            (REFERENCE / name).unlink()
    sys.stdout.write(f"docs/reference: {len(wanted)} pages, {len(old)} written or deleted\n")
    return 0


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {_LIST: _list_page()} | {file_of(one): page(one) for one in all_procedures()}


def differences(directory: Path, wanted: dict[str, str]) -> list[str]:
    """The names of pages in a directory that are missing, not as wanted, or of a procedure that is gone."""
    there = {one.name: one.read_text(encoding="utf-8") for one in directory.glob("*.md")}
    return sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))


def file_of(procedure: Procedure) -> str:
    """The name of a procedure's page."""
    return f"{procedure.words.replace(' ', '-')}.md"


def page(procedure: Procedure) -> str:
    """The page of one procedure."""
    typed = Surface.CLI in procedure.surfaces
    title = f"tabsync {procedure.words}" if typed else procedure.words
    parts = [GENERATED, f"# {title}", _text(procedure.summary)]
    parts += [_text(procedure.details)] if procedure.details else []
    if typed:
        parts += [f"Example: `{procedure.example}`", f"Usage: `{_usage(procedure)}`"]
    for title, rows in (("Argument", _arguments(procedure)), ("Option", _options(procedure))):
        if rows:
            parts += [f"## {title}s", _table(_columns(title, procedure), rows)]
    parts += ["## Who can start it, and from where", _table(("", ""), _facts(procedure))]
    return "\n\n".join(parts) + "\n"


def _facts(procedure: Procedure) -> Iterator[tuple[str, str]]:
    yield "Started from", surfaces_of(procedure)
    if procedure.surfaces & {Surface.CONSOLE, Surface.API}:
        yield "Role of the operator", f"{procedure.operator}, in the console and through the API"
    else:
        yield "Role of the operator", "none: the command line asks for no operator"
    yield "Least role in the database", _text(procedure.needs) or "not stated"
    yield "Recorded as a run", "yes: `tabsync run list` lists it" if procedure.records_a_run else "no"


def _usage(procedure: Procedure) -> str:
    command = build(procedure.words.split())
    if command is None:
        raise LookupError(f"{procedure.words} is declared for the command line, and there is no such command")
    parent = click.Context(click.Group(), info_name="tabsync")
    for word in procedure.words.split()[:-1]:
        parent = click.Context(click.Group(), info_name=word, parent=parent)
    context = click.Context(command, info_name=command.name, parent=parent)
    shown = command.collect_usage_pieces(context)
    if isinstance(command, click.Group):  # it does something itself; its other words have pages of their own
        shown = [piece for piece in shown if not piece.startswith("[COMMAND]")]
    return " ".join([context.command_path, *shown])


def _columns(title: str, procedure: Procedure) -> tuple[str, ...]:
    named = ("Name in the API",) if Surface.API in procedure.surfaces else ()
    return (title, *named, "Value", "Meaning", "Default")


def _arguments(procedure: Procedure) -> list[tuple[str, ...]]:
    return [_row(f"`{_metavar(one)}`", one, procedure) for one in procedure.fields if one.positional]


def _options(procedure: Procedure) -> list[tuple[str, ...]]:
    own = [_row(_flags(one.flags), one, procedure) for one in procedure.fields if not one.positional]
    return own + (_shared(procedure) if Surface.CLI in procedure.surfaces else [])


def _row(name: str, one: Field, procedure: Procedure) -> tuple[str, ...]:
    named = (f"`{one.name}`",) if Surface.API in procedure.surfaces else ()
    return (name, *named, _value(one), _meaning(one), _default(one))


def _shared(procedure: Procedure) -> list[tuple[str, ...]]:
    """The options that it has in common with others, as its command has them; a request has no names for them."""
    command = build(procedure.words.split())
    own = {one.name for one in procedure.fields}
    params = [] if command is None else command.params
    shared = [one for one in params if isinstance(one, click.Option) and one.name not in own]
    named = ("",) if Surface.API in procedure.surfaces else ()
    kinds = {one: "flag" if one.is_flag else one.type.name for one in shared}
    return [(_flags(one.opts), *named, kinds[one], _text(one.help or ""), "") for one in shared]


def _metavar(one: Field) -> str:
    name = one.asked.metavar or one.name.upper()
    return f"{name}..." if one.many else name


def _value(one: Field) -> str:
    asked = one.asked if isinstance(one.asked, Option) else None
    parts = [_choices(one) or {"number": "number", "integer": "whole number"}.get(one.kind, one.kind)]
    if asked is not None:
        parts += [f"in {asked.unit}"] if asked.unit else []
        parts += [f"at least {asked.minimum}"] if asked.minimum is not None else []
        parts += [f"at most {asked.maximum}"] if asked.maximum is not None else []
    return ", ".join(parts) + ("; may be repeated" if one.many else "")


def _meaning(one: Field) -> str:
    return _text(one.asked.help) + (" It is neither shown nor recorded." if one.secret else "")


def _choices(one: Field) -> str:
    return ", ".join(f"`{choice}`" for choice in one.choices)


def _default(one: Field) -> str:
    if one.required:
        return "required"
    return "" if one.kind == "flag" or one.default in (None, "", ()) else f"`{one.default}`"


def _flags(flags: Iterable[str]) -> str:
    return ", ".join(f"`{flag}`" for flag in flags)


def _list_page() -> str:
    start = "A page for each procedure. The same list in the terminal: `tabsync procedures`."
    parts = [GENERATED.replace("declaration of the procedure", "declarations"), "# Procedures", start]
    chapter_of = {one.words: chapter for chapter, all_of_it in _chapters() for one in all_of_it}
    by_chapter: dict[str, list[Procedure]] = {}
    for one in all_procedures():
        by_chapter.setdefault(chapter_of.get(one.words, _PROGRAM), []).append(one)
    for chapter, found in by_chapter.items():
        parts.append(f"## {chapter}")
        for group, together in groupby(found, _group):
            parts += [f"`{group.words}`: {_text(group.summary)}"] if group else []
            parts.append(_table(("Procedure", "What it does", "Started from"), map(_listed, together)))
    return "\n\n".join(parts) + "\n"


def _chapters() -> Iterator[tuple[str, tuple[Procedure, ...]]]:
    """The packages that declare procedures, by their names in words."""
    for package in pkgutil.iter_modules(tabsync.__path__):
        if package.ispkg and find_spec(f"tabsync.{package.name}.procedures"):
            declared = getattr(import_module(f"tabsync.{package.name}.procedures"), "PROCEDURES", ())
            yield package.name.replace("_", " ").capitalize(), declared
    yield "Runbooks", import_module("tabsync.procedures.runbooks").PROCEDURES  # they start what other chapters declare


def _group(procedure: Procedure) -> Group | None:
    return next((one for one in all_groups() if one.words == procedure.words.split()[0]), None)


def _listed(one: Procedure) -> tuple[str, str, str]:
    return f"[{one.words}]({file_of(one)})", _text(one.summary), surfaces_of(one)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _text(text: str) -> str:
    """Words as Markdown shows them unchanged."""
    return re.sub(r"[\\<*\[]|\b_|_\b", r"\\\g<0>", text)


if __name__ == "__main__":
    sys.exit(main())
