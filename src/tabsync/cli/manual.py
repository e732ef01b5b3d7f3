"""tabsync manual: check the manual, and show it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from tabsync.kernel.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Check and show the manual, which is the program's policy.")

WIDTH = 100
"""Tables fit in so many columns."""

_File = Annotated[Path | None, typer.Argument(help="The manual; without it, the workspace's.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("check", epilog="Example: tabsync manual check manual.md")
def check_command(file: _File = None, as_json: _Json = False) -> None:
    """List everything that is wrong with the manual, as FILE:LINE, and what it names that isn't built yet."""
    from tabsync.manual.check import check
    from tabsync.manual.load import read

    path = _manual_path(file)
    manual, parsed = read(path)
    report = check(manual, is_built, parsed=parsed, wrong_usage=wrong_usage)
    if as_json:
        typer.echo(json.dumps(_report_json(path, manual.digest, report), ensure_ascii=False, indent=2))
    else:
        for problem in report.problems:
            typer.echo(problem.told(str(path)))
        typer.echo(_summary(path, report))
        for command in report.not_built:
            typer.echo(f"  {path.name}:{command.line}: tabsync {command.text}")
    if report.problems:
        raise typer.Exit(Exit.PROBLEM_FOUND)


@app.command("show", epilog='Example: tabsync manual show thresholds; tabsync manual show "Payments failing"')
def show_command(
    section: Annotated[str | None, typer.Argument(help="A section, or the title of a runbook.")] = None,
    file: _File = None,
    as_json: _Json = False,
) -> None:
    """Show the manual as the program understands it: all of it in short, one section, or one runbook."""
    from tabsync.manual import show
    from tabsync.manual.load import read

    manual, problems = read(_manual_path(file))
    if as_json:
        typer.echo(json.dumps({"version": 1} | show.as_json(manual, section), ensure_ascii=False, indent=2))
        return
    _console().print(show.render(manual, section, is_built))
    if problems:
        typer.echo(f"{len(problems)} problems: tabsync manual check", err=True)


def is_built(words: Sequence[str]) -> bool:
    """Whether this version has a command: its words are followed down the program's own command tree."""
    return _find(words) is not None


def wrong_usage(words: Sequence[str]) -> str:
    """What is wrong with the options and arguments of a command that is built, or ""."""
    found = _find(words)
    if found is None:
        return ""
    command, arguments = found
    try:
        parsed, extra, _ = command.make_parser(typer.Context(command)).parse_args(list(arguments))
    except TyperException as error:
        return error.message
    if extra:
        return f"one argument too many: {extra[0]!r}"
    missing = [one for one in command.params if one.required and parsed.get(one.name) in (None, (), [])]
    return f"{missing[0].make_metavar(typer.Context(command))} is missing" if missing else ""


def _find(words: Sequence[str]) -> tuple[Any, Sequence[str]] | None:
    """The command that words name, and what is left of them for it."""
    from tabsync.cli import app as program

    node: Any = typer.main.get_command(program)
    for number, word in enumerate(words):
        if not hasattr(node, "commands"):
            return node, words[number:]
        if word not in node.commands:
            # A group that does something by itself takes options: `drill --backup latest`.
            return (node, words[number:]) if number and node.invoke_without_command and word[0] == "-" else None
        node = node.commands[word]
    alone = not hasattr(node, "commands") or node.invoke_without_command
    return (node, ()) if alone else None


def _manual_path(file: Path | None) -> Path:
    if file is not None:
        return file
    from tabsync.workspace import find

    return find().manual_path


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return Console(highlight=False, width=min(console.width, WIDTH) if console.is_terminal else WIDTH)


def _summary(path: Path, report: Any) -> str:
    count = len(report.problems)
    problems = "no problems" if not count else f"{count} problem{'s' if count > 1 else ''}"
    not_built = f", {len(report.not_built)} not built yet" + (":" if report.not_built else "")
    return f"{path.name}: {problems}; {report.procedures} procedures{not_built if report.not_built else ', all built'}"


def _report_json(path: Path, digest: str, report: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "file": str(path),
        "digest": digest,
        "problems": [
            {"line": problem.line, "what": problem.what, "expected": problem.expected} for problem in report.problems
        ],
        "procedures": report.procedures,
        "not_built": [{"line": command.line, "command": command.text} for command in report.not_built],
    }
