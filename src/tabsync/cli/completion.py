"""tabsync completion: a script by which a shell completes commands, options and choices.

The script asks the program itself, which builds only the commands that fit what is typed:
https://click.palletsprojects.com/en/stable/shell-completion/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tabsync.kernel.request import Argument

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Completion:
    """What one may ask of completion."""

    shell: Annotated[Literal["bash", "zsh", "fish"], Argument("The shell that the script is for.")]


def completion_command(_terminal: Terminal, request: Completion) -> None:
    """Print the script of a shell."""
    import sys

    sys.stdout.write(script_of(request.shell))


def script_of(shell: str) -> str:
    """The script of a shell, as click writes it. Raises KeyError for a shell that click doesn't know."""
    from click.shell_completion import get_completion_class

    from tabsync.cli.tree import program

    found = get_completion_class(shell)
    if found is None:
        raise KeyError(shell)
    return found(program(), {}, "tabsync", "_TABSYNC_COMPLETE").source()
