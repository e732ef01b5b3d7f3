"""tabsync manual: check the manual, and show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from tabsync.cli.common import JsonOption, console, print_json
from tabsync.kernel.errors import Exit

if TYPE_CHECKING:
    from tabsync.manual.check import Report

app = typer.Typer(no_args_is_help=True, help="Check and show the manual, which contains the policy.")

_File = Annotated[
    Path | None,
    typer.Argument(help="The manual's file (default: the one that tabsync.toml names).", show_default=False),
]


@app.command("check", epilog="Example: tabsync manual check manual.md")
def check_command(file: _File = None, json: JsonOption = False) -> None:
    """List the errors in the manual as FILE:LINE. Also lists the commands in it that are not built yet."""
    from tabsync.manual.check import check
    from tabsync.manual.load import read

    path = _manual_path(file)
    manual, parsed = read(path)
    program = _program()
    report = check(manual, built_in(program), parsed=parsed, wrong_usage=usage_in(program))
    if json:
        print_json(_report_json(path, manual.digest, report))
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
    json: JsonOption = False,
) -> None:
    """Show the manual, one section, or one runbook."""
    from tabsync.manual import show
    from tabsync.manual.load import read

    manual, problems = read(_manual_path(file))
    if json:
        print_json({"version": 1, "kind": "manual", **show.as_json(manual, section)})
        return
    console().print(show.render(manual, section, built_in(_program())))
    if problems:
        typer.echo(f"{len(problems)} problems: tabsync manual check", err=True)


def _program() -> Any:
    """This program's own command tree."""
    from tabsync.cli.app import app as program

    return typer.main.get_command(program)


def built_in(program: Any) -> Callable[[Sequence[str]], bool]:
    """Tells of words whether a program has that command."""
    return lambda words: find_command(program, words) is not None


def usage_in(program: Any) -> Callable[[Sequence[str]], str]:
    """Tells of words what is wrong with the options and arguments that they give a command of a program, or ""."""

    def wrong_usage(words: Sequence[str]) -> str:
        found = find_command(program, words)
        if found is None:
            return ""
        command, arguments = found
        context = typer.Context(command)
        try:
            parsed, extra, _ = command.make_parser(context).parse_args(list(arguments))
        except TyperException as error:
            return error.message.rstrip(".")
        if extra:
            return f"one argument too many: {extra[0]!r}"
        missing = [one for one in command.params if one.required and parsed.get(one.name) in (None, (), [])]
        return f"{missing[0].name.upper()} is missing" if missing else ""

    return wrong_usage


def find_command(program: Any, words: Sequence[str]) -> tuple[Any, Sequence[str]] | None:
    """The command that words name, and the words that are left for it; None when the program hasn't got it."""
    node, rest = program, list(words)
    while rest and hasattr(node, "commands") and rest[0] in node.commands:
        node, rest = node.commands[rest[0]], rest[1:]
    if hasattr(node, "commands"):
        # A group that does something by itself takes options (`drill --backup latest`); a word would be a subcommand.
        works = node is not program and node.invoke_without_command and not (rest and rest[0][:1] != "-")
        return (node, rest) if works else None
    takes_arguments = any(one.param_type_name == "argument" for one in node.params)
    if rest and rest[0][:1] != "-" and not takes_arguments:
        return None  # `drill monthly` is not built while `drill` takes no argument
    return node, rest


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
