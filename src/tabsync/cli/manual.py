"""tabsync manual: check the manual, and show it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tabsync.kernel.errors import Exit
from tabsync.kernel.request import Argument

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.manual.check import Report


@dataclass(frozen=True, slots=True)
class Check:
    """What one may ask of manual check."""

    file: Annotated[Path | None, Argument("The manual's file (default: the one that tabsync.toml names).")] = None


@dataclass(frozen=True, slots=True)
class Show:
    """What one may ask of manual show."""

    section: Annotated[str | None, Argument("A section, or the title of a runbook.")] = None
    file: Annotated[Path | None, Argument("The manual's file (default: the one that tabsync.toml names).")] = None


def check_command(terminal: Terminal, request: Check) -> int:
    """List the errors in the manual, and the commands in it that are not built yet."""
    from tabsync.cli.usage import COMMANDS, wrong_usage
    from tabsync.kernel.clock import now
    from tabsync.kernel.page import Page
    from tabsync.manual.check import check
    from tabsync.manual.declare import to_declare
    from tabsync.manual.load import read
    from tabsync.monitoring.notify.reach import gaps
    from tabsync.procedures import is_built
    from tabsync.system.zone import machine_zone

    path = _manual_path(request.file)
    manual, parsed = read(path)
    report = check(
        manual,
        is_built,
        parsed=parsed,
        wrong_usage=wrong_usage,
        commands=COMMANDS,
        exists=lambda target: os.path.exists(path.parent / target),  # noqa: PTH110 - it raises for no name
    )
    open_ = to_declare(manual)
    untold = gaps(manual.contacts, None, now(), machine_zone())
    page = Page("", _report_json(path, manual.digest, report) | {"nobody_told": untold, "to_declare": open_})
    for problem in report.problems:
        page.line(problem.described(str(path)), whole=True)
    page.line(_summary(path, report), whole=True)
    for command in report.not_built:
        page.line(f"  {path.name}:{command.line}: tabsync {command.text}", whole=True)
    for one in [*open_, *untold]:
        page.note(one)
    terminal.page(page)
    return int(Exit.PROBLEM_FOUND if report.problems else Exit.DONE)


def show_command(terminal: Terminal, request: Show) -> None:
    """Show the manual, one section, or one runbook."""
    from tabsync.cli.terminal import paper, print_json
    from tabsync.manual import show
    from tabsync.manual.load import read
    from tabsync.procedures import is_built

    manual, problems = read(_manual_path(request.file))
    if terminal.json:
        print_json({"version": 1, "kind": "manual", **show.as_json(manual, request.section)})
        return
    paper().print(show.render(manual, request.section, is_built))
    if problems:
        terminal.note(f"{len(problems)} problems: tabsync manual check")


def _manual_path(file: Path | None) -> Path:
    if file is not None:
        return file
    from tabsync.workspace import find

    return find(anything=True).manual_path


def _summary(path: Path, report: Report) -> str:
    count = len(report.problems)
    problems = {0: "no problems", 1: "1 problem"}.get(count, f"{count} problems")
    built = f"{len(report.not_built)} not built yet:" if report.not_built else "all built"
    return f"{path.name}: {problems}; {report.procedures} procedures, {built}"


def _report_json(path: Path, digest: str, report: Report) -> dict[str, Any]:
    return {
        "version": 1,
        "kind": "manual check",
        "file": str(path),
        "digest": digest,
        "problems": [
            {"line": problem.line, "what": problem.what, "expected": problem.expected} for problem in report.problems
        ],
        "procedures": report.procedures,
        "not_built": [{"line": command.line, "command": command.text} for command in report.not_built],
    }
