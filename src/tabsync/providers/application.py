"""What every integration that restarts an application can do, and what it says. Each kind is a file beside this one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Facts: TypeAlias = dict[str, Any]
Report: TypeAlias = Callable[[float, float, str], None]

_SECRETS = (
    re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?=@)", re.IGNORECASE),
    re.compile(r"(?P<before>\bauthorization\s*[:=]\s*['\"]?(?:bearer|basic)?\s*)[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(?P<before>\bbearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"(?P<before>(?:password|passwd|pgpassword|secret|token|api_?key|accountkey|sig)['\"]?\s*[=:]\s*)"
        r"(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<before>(?<!\w)--?(?:password|passwd)\s+)[^\s-]\S*", re.IGNORECASE),
)
_KEY = re.compile(
    r"\b(?:[srp]k_(?:live|test)_\w{6,}|whsec_\w{6,}|APP_USR-[\w-]{10,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
"""Keys that are known by how they begin: of payment gateways, clouds, code hosts, chats; and JSON Web Tokens."""

_LEAST = 4  # letters; a shorter value is in every second word


@dataclass(frozen=True, slots=True)
class Intended:
    """What an integration would do. facts: for the step, as JSON, without secrets; preview: for people.

    undo: how to take it back; notes: what else there is to know before; target: what it touches, as found now.
    """

    facts: Facts
    preview: str
    undo: str
    notes: tuple[str, ...] = ()
    target: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """What an application wrote. lines: (which replica, the line), of each the oldest first."""

    lines: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that the account must be allowed. allowed: None, when that is unknown.

    use: the command that needs it; why: what is known about it; grant: the statement or role that grants it;
    configured: False where tabsync.toml does not want that command, so that nothing is missing.
    """

    name: str
    use: str
    allowed: bool | None
    why: str = ""
    grant: str = ""
    configured: bool = True


class Application(Protocol):
    """An application that a database operation concerns. Its methods raise TabsyncError, without secrets."""

    @property
    def place(self) -> str:
        """What it is, in words: "deployment backend in namespace shop"."""

    @property
    def timeout(self) -> float:
        """Seconds until what was asked for counts as failed."""

    @property
    def switch_takes(self) -> Literal["connection", "secret"]:
        """Whether it is told a connection string, or the name of a secret that is kept over there."""

    def restart_plan(self) -> Intended:
        """What a restart would do. It only reads."""

    def restart(self, facts: Facts) -> Facts:
        """Do exactly that."""

    def wait(self, facts: Facts, done: Facts, report: Report) -> Facts:
        """Wait until it is up again. Raises FailedPartway with what is not, after `timeout`."""

    def logs(self, lines: int) -> Log:
        """The last lines of each replica."""

    def switch_plan(self, to: str) -> Intended:
        """What it would do to give it another database. to: the name of a secret, or the place of a connection."""

    def switch(self, facts: Facts, connection: str) -> Facts:
        """Do exactly that. connection: the connection string, "" where it takes a secret."""

    def permissions(self) -> list[Permission]:
        """What the account needs, and whether it has it. It only reads."""


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """A text of somebody else without passwords and tokens: those that we know, and what looks like one."""
    for one in sorted({one for one in known if len(one) >= _LEAST}, key=len, reverse=True):
        text = text.replace(one, "***")
    for pattern in _SECRETS:
        text = pattern.sub(r"\g<before>***", text)
    return _KEY.sub("***", text)


def printable(line: str) -> str:
    """A line without what would move a terminal's cursor or colour it."""
    plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", line)
    return "".join(one if one.isprintable() or one == "\t" else " " for one in plain).rstrip()
