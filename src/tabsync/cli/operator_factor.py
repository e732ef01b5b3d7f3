"""tabsync operator totp and map: an operator's second factor, and who the operator is among the application's users."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import click

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument, Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Totp:
    """What one may ask of operator totp."""

    name: Annotated[str, Argument("The operator's name.")]
    confirm: Annotated[
        str, Option("A code of the secret that was shown; at a terminal it is asked for.", metavar="CODE", secret=True)
    ] = ""
    reset: Annotated[bool, Option("Take the second factor away; this ends the operator's sessions.")] = False


@dataclass(frozen=True, slots=True)
class Map:
    """What one may ask of operator map."""

    name: Annotated[str, Argument("The operator's name.")]
    user: Annotated[str, Option("The operator's e-mail address in the application.", metavar="EMAIL")] = ""
    nobody: Annotated[bool, Option("The operator is no user any more.")] = False


def totp_command(terminal: Terminal, request: Totp) -> None:
    """Give an operator a second factor, or take it away."""
    from tabsync.kernel.errors import BadUsage
    from tabsync.ledger.second_factor import begin, reset

    if request.reset and request.confirm:
        raise BadUsage("--reset can't be used with --confirm", "give one of the two")
    found = terminal.workspace()
    by = found.journal().actor
    page = Page("operator totp", {"operator": request.name})
    if request.reset:
        had = reset(found.ledger(), request.name, by=by)
        page.data["reset"] = had
        page.line(f"{request.name} logs in with the password alone" if had else f"{request.name} had no second factor")
    elif request.confirm:
        _confirmed(found, request.name, request.confirm, page, by)
    else:
        made = begin(found.ledger(), request.name, by=by)
        page.data["uri"] = made.uri
        page.line("Enter this secret in an authenticator app; it is shown only now:")
        page.line(f"  {made.secret}", whole=True)
        page.line(f"  {made.uri}", whole=True)
        if terminal.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            page.hint(f"from when on it is asked for: tabsync operator totp {request.name} --confirm CODE")
        else:
            terminal.page(page)
            code: str = click.prompt("A code of the app", err=True)
            page = Page("operator totp", {"operator": request.name})
            _confirmed(found, request.name, code, page, by)
    terminal.page(page)


def map_command(terminal: Terminal, request: Map) -> None:
    """Say which of the application's users an operator is."""
    from tabsync.kernel.errors import BadUsage
    from tabsync.ledger.operator_users import map_user
    from tabsync.postgres.catalog import identity
    from tabsync.stores.manifest import subject_of
    from tabsync.users.wired import LOOKING, policy, user_by_email

    if bool(request.user) == request.nobody:
        raise BadUsage("operator map takes --user or --nobody", "tabsync operator map ana --user ana@example.com")
    found = terminal.workspace()
    _, wiring = policy(found)
    with found.connect("users", LOOKING) as connection:
        subject = subject_of(identity(connection))
        user = user_by_email(connection, wiring, request.user) if request.user else None
    map_user(found.ledger(), request.name, subject, user.key if user else "", by=found.journal().actor)
    page = Page("operator map", {"operator": request.name, "user": user.key if user else None, "subject": subject})
    told = f"{user.email}, {user.role}" if user else "no user of the application"
    page.line(f"{request.name} is {told}")
    terminal.page(page)


def _confirmed(found: Workspace, name: str, code: str, page: Page, by: str) -> None:
    from tabsync.ledger.second_factor import confirm

    codes = confirm(found.ledger(), name, code, by=by)
    page.data["recovery_codes"] = codes
    page.line(f"{name} gives a code at each login from now on.")
    page.line("Recovery codes, each for one login without the app; they are shown only now:")
    for one in codes:
        page.line(f"  {one}", whole=True)
    page.note(f"who has lost both: on this machine, tabsync operator totp {name} --reset")
