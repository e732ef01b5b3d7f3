"""tabsync user promote, demote, disable, create-super-admin: what is asked of the person before anything is done."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.procedure import Planned
    from tabsync.users.change import Promote
    from tabsync.users.create import Create
    from tabsync.users.disable import Disable
    from tabsync.workspace import Workspace

_LONGEST = 4_096


def change_command(terminal: Terminal, request: Promote) -> int:
    """Plan the change, have the one who does it prove who it is, and carry it out."""
    from tabsync.users.change import plan_change

    found = terminal.workspace()
    return _proven(terminal, found, request, plan_change(found, request))


def disable_command(terminal: Terminal, request: Disable) -> int:
    """The same for disabling an account."""
    from tabsync.users.disable import plan_disable

    found = terminal.workspace()
    return _proven(terminal, found, request, plan_disable(found, request))


def create_command(terminal: Terminal, request: Create) -> int:
    """Plan the new user, ask for the password twice, and create it."""
    from dataclasses import replace

    from tabsync.cli.perform import carry_out
    from tabsync.kernel.procedure import planned
    from tabsync.users.create import HASH, plan_create
    from tabsync.users.password import hash_of

    found = terminal.workspace()
    made: Planned[Workspace] = planned(terminal.procedure, request, plan_create(found, request))
    if not terminal.dry_run:
        password = asked_password(f"Password of {request.email}", request.password_fd, twice=True)
        found = replace(found, secrets={HASH: hash_of(password)})
    return carry_out(terminal, found, request, made)


def _proven(terminal: Terminal, found: Workspace, request: Promote | Disable, plan: Planned[Workspace]) -> int:
    """Carry out a plan once the one who does it has given the password."""
    from tabsync.cli.perform import carry_out
    from tabsync.kernel.procedure import planned
    from tabsync.users.actor import check_password_of
    from tabsync.users.change import About

    made = planned(terminal.procedure, request, plan)
    about = made.about
    if not terminal.dry_run and isinstance(about, About) and about.actor.user:
        password = asked_password(f"Password of {about.actor.user.email}", request.password_fd)
        check_password_of(found, about.actor, password)
    return carry_out(terminal, found, request, made)


def asked_password(question: str, descriptor: int | None, *, twice: bool = False) -> str:
    """A password, typed without an echo or read from a file descriptor: never an argument, never from the environment.

    twice: ask for it again. Raises Refused without a terminal, BadUsage for a descriptor that can't be read.
    """
    from tabsync.kernel.errors import BadUsage, Refused

    if descriptor is not None:
        try:
            with os.fdopen(os.dup(descriptor), "rb") as file:
                line = file.readline(_LONGEST)
            return line.rstrip(b"\r\n").decode()
        except OSError as error:
            raise BadUsage(f"--password-fd {descriptor}: {error.strerror}", "--password-fd 3 3< file") from None
        except UnicodeDecodeError:
            raise BadUsage(f"--password-fd {descriptor}: it is not text in UTF-8", "--password-fd 3 3< file") from None
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("the password can't be asked for without a terminal", "use --password-fd")
    again = "Repeat the password" if twice else False
    typed: str = click.prompt(question, hide_input=True, confirmation_prompt=again, err=True)
    return typed
