"""tabsync operator: who may use the console. Only this command line can say so."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import click

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.request import Nothing
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Add:
    """What one may ask of operator add."""

    name: Annotated[str, Argument("The operator's name.")]
    role: Annotated[str, Option("viewer: may see everything; admin: may also start runs.")] = "viewer"
    password_stdin: Annotated[bool, Option("Read the password from the first line of stdin.")] = False
    generate: Annotated[bool, Option("Generate a password and print it once.")] = False


@dataclass(frozen=True, slots=True)
class Password:
    """What one may ask of operator password."""

    name: Annotated[str, Argument("The operator's name.")]
    password_stdin: Annotated[bool, Option("Read the password from the first line of stdin.")] = False
    generate: Annotated[bool, Option("Generate a password and print it once.")] = False


@dataclass(frozen=True, slots=True)
class Remove:
    """What one may ask of operator remove."""

    name: Annotated[str, Argument("The operator's name.")]


@dataclass(frozen=True, slots=True)
class Token:
    """What one may ask of operator token."""

    name: Annotated[str, Argument("The operator's name.")]
    remove: Annotated[bool, Option("Remove all tokens of the operator.")] = False


def add_command(terminal: Terminal, request: Add) -> None:
    """Add an operator; asks for the password twice."""
    from tabsync.ledger.operators import add_operator

    found = terminal.workspace()
    password = _password(from_stdin=request.password_stdin, generate=request.generate)
    made = add_operator(found.ledger(), request.name, password, request.role, by=found.journal().actor)
    _done(terminal, f"{made.name} may now log in as {made.role}", password if request.generate else "")


def look_list(workspace: Workspace, _request: Nothing) -> Page:
    """The operators."""
    from tabsync.ledger.operator_users import mapped
    from tabsync.ledger.operators import operators
    from tabsync.ledger.second_factor import with_factor

    found, factors, users = operators(workspace.ledger()), with_factor(workspace.ledger()), mapped(workspace.ledger())
    more = [{"second_factor": one.name in factors, "users": users.get(one.name, [])} for one in found]
    page = Page("operators", {"operators": [asdict(one) | told for one, told in zip(found, more, strict=True)]})
    if not found:
        page.line("There is no operator. To add one: tabsync operator add NAME --role admin")
        return page
    rows = (
        (
            one.name,
            one.role,
            one.created_at[:19].replace("T", " "),
            "yes" if one.name in factors else "no",
            ", ".join(users.get(one.name, [])) or "-",
        )
        for one in found
    )
    page.table(("Name", "Role", "Since (UTC)", "Second factor", "User"), rows)
    return page


def password_command(terminal: Terminal, request: Password) -> None:
    """Set a new password for an operator; this ends the operator's sessions."""
    from tabsync.ledger.operators import one_operator, set_password

    found = terminal.workspace()
    known = one_operator(found.ledger(), request.name)  # before anybody has to think of a password
    password = _password(from_stdin=request.password_stdin, generate=request.generate)
    ended = set_password(found.ledger(), known.name, password, by=found.journal().actor)
    text = f"{known.name} has a new password; sessions ended: {ended}"
    _done(terminal, text, password if request.generate else "")


def remove_command(terminal: Terminal, request: Remove) -> None:
    """Remove an operator; this ends the operator's sessions."""
    from tabsync.ledger.operators import remove_operator

    found = terminal.workspace()
    remove_operator(found.ledger(), request.name, by=found.journal().actor)
    _done(terminal, f"{request.name} may no longer log in", "")


def token_command(terminal: Terminal, request: Token) -> None:
    """Make a token by which a program uses the API in an operator's name; or remove them."""
    from tabsync.ledger.tokens import add_token, remove_tokens

    found = terminal.workspace()
    page = Page("operator token", {"operator": request.name})
    if request.remove:
        count = remove_tokens(found.ledger(), request.name, by=found.journal().actor)
        page.data["removed"] = count
        page.line(f"Removed {count} tokens of {request.name}.")
    else:
        made = add_token(found.ledger(), request.name, by=found.journal().actor)
        page.data["token"] = made
        page.line(f"A program that sends this token acts as {request.name}; it is shown only now:")
        page.line(f"  {made}", whole=True)
    terminal.page(page)


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
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt="Repeat the password", err=True)
    return typed


def _done(terminal: Terminal, text: str, password: str) -> None:
    page = Page("operator")
    page.line(text)
    if password:
        page.line(f"password: {password}")
    terminal.page(page)
