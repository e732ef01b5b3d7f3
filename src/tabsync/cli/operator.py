"""tabsync operator: who may use the console. Only this command line can say so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tabsync.cli.common import ConfigOption, JsonOption

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

app = typer.Typer(help="Manage the users of the console.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="The operator's name.")]
_FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the first line of stdin.")]
_Generate = Annotated[bool, typer.Option("--generate", help="Generate a password and print it once.")]


@app.command("add", epilog="Example: tabsync operator add ana --role admin --generate")
def add(
    name: _Name,
    role: Annotated[str, typer.Option(help="viewer: may see everything; admin: may also start runs.")] = "viewer",
    password_stdin: _FromStdin = False,
    generate: _Generate = False,
    config: ConfigOption = None,
) -> None:
    """Add an operator; asks for the password twice."""
    from tabsync.ledger.operators import add_operator

    found = _workspace(config)
    password = _password(from_stdin=password_stdin, generate=generate)
    made = add_operator(found.ledger(), name, password, role, by=found.journal().actor)
    _done(f"{made.name} may now log in as {made.role}", password if generate else "")


@app.command("list", epilog="Example: tabsync operator list")
def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the operators."""
    from dataclasses import asdict

    from rich.table import Table

    from tabsync.cli.common import console, print_json
    from tabsync.ledger.operators import operators

    found = operators(_workspace(config).ledger())
    if json:
        print_json({"version": 1, "kind": "operators", "operators": [asdict(one) for one in found]})
        return
    if not found:
        console().print("There is no operator. To add one: tabsync operator add NAME --role admin")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("Name", "Role", "Since (UTC)"):
        table.add_column(column)
    for one in found:
        table.add_row(one.name, one.role, one.created_at[:19].replace("T", " "))
    console().print(table)


@app.command("password", epilog="Example: tabsync operator password ana")
def password_(
    name: _Name, password_stdin: _FromStdin = False, generate: _Generate = False, config: ConfigOption = None
) -> None:
    """Set a new password for an operator; this ends the operator's sessions."""
    from tabsync.ledger.operators import one_operator, set_password

    found = _workspace(config)
    known = one_operator(found.ledger(), name)  # before anybody has to think of a password
    password = _password(from_stdin=password_stdin, generate=generate)
    ended = set_password(found.ledger(), known.name, password, by=found.journal().actor)
    _done(f"{known.name} has a new password; sessions ended: {ended}", password if generate else "")


@app.command("remove", epilog="Example: tabsync operator remove ana")
def remove(name: _Name, config: ConfigOption = None) -> None:
    """Remove an operator; this ends the operator's sessions."""
    from tabsync.ledger.operators import remove_operator

    found = _workspace(config)
    remove_operator(found.ledger(), name, by=found.journal().actor)
    _done(f"{name} may no longer log in", "")


def _workspace(config: ConfigOption) -> Workspace:
    from tabsync.cli.common import workspace

    return workspace(config)


def _password(*, from_stdin: bool, generate: bool) -> str:
    from tabsync.kernel.errors import BadUsage, Refused
    from tabsync.ledger.operators import new_password

    if from_stdin and generate:
        raise BadUsage("--password-stdin can't be used with --generate", "give one of the two")
    if generate:
        return new_password()
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused("the password can't be asked for without a terminal", "use --password-stdin or --generate")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Repeat the password", err=True)
    return typed


def _done(text: str, password: str) -> None:
    from tabsync.cli.common import console

    console().print(text, markup=False)
    if password:
        console().print(f"password: {password}", markup=False)
