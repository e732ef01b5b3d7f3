"""An application that is restarted, read and switched by commands that tabsync.toml names; no shell is involved."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tabsync.kernel.errors import BadUsage, FailedPartway
from tabsync.providers.application import Facts, Intended, Log, Permission, Report, printable, without_secrets
from tabsync.system.commands import run_command
from tabsync.system.programs import Finished, program_environment

_TOLD = 20  # lines of its output that are kept
_LOGS_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Command:
    """An application behind commands. restart, logs, switch: each an argument list, empty where there is none.

    variable: how the child finds the new connection string in its environment; passes: variables of our own that each
    child gets too.
    """

    name: str
    restart_argv: tuple[str, ...] = ()
    logs_argv: tuple[str, ...] = ()
    switch_argv: tuple[str, ...] = ()
    variable: str = "DATABASE_URL"
    passes: tuple[str, ...] = ()
    timeout: float = 300.0

    @property
    def place(self) -> str:
        """What it is, in words."""
        return f"application {self.name}, by its commands"

    @property
    def switch_takes(self) -> Literal["connection", "secret"]:
        """A connection string, in the environment of the command."""
        return "connection"

    def restart_plan(self) -> Intended:
        """The command, as it will run."""
        argv = self._named("restart", self.restart_argv)
        return Intended({"argv": list(argv)}, shlex.join(argv), "none needed: it starts again with the same settings")

    def restart(self, facts: Facts) -> Facts:
        """Run it. Raises FailedPartway when it ends with another exit code than 0."""
        return self._run("restart", facts, {}, ())

    def wait(self, _facts: Facts, done: Facts, _report: Report) -> Facts:
        """Nothing is left to be waited for: the command's exit code was its answer."""
        return {"told": f"the command ended with exit code {done['code']}"}

    def logs(self, lines: int) -> Log:
        """The last lines that the command prints."""
        argv = self._named("logs", self.logs_argv)
        ended = run_command(argv, env=self._environment({}), timeout=min(self.timeout, _LOGS_TIMEOUT))
        if ended.code:
            raise FailedPartway(f"{argv[0]} ended with exit code {ended.code}{_because(ended)}", self._check())
        found = [*ended.stdout.splitlines(), *ended.stderr][-lines:]
        return Log(tuple((self.name, line) for line in found))

    def switch_plan(self, to: str) -> Intended:
        """The command, as it will run; the connection string is in its environment only."""
        argv = self._named("switch", self.switch_argv)
        preview = f"{self.variable}=(the connection string of {to}) {shlex.join(argv)}"
        undo = f"run it again with the present database: tabsync app switch-database {self.name} --to VARIABLE"
        return Intended({"argv": list(argv)}, preview, undo)

    def switch(self, facts: Facts, connection: str) -> Facts:
        """Run it with the connection string in its environment."""
        return self._run("switch", facts, {self.variable: connection}, (connection,))

    def permissions(self) -> list[Permission]:
        """Whether each program is there and can be executed; what it may do itself is its own matter."""
        return [
            self._program(use, argv)
            for use, argv in (
                ("app restart", self.restart_argv),
                ("app logs", self.logs_argv),
                ("app switch-database", self.switch_argv),
            )
        ]

    def _program(self, use: str, argv: Sequence[str]) -> Permission:
        key = use.removeprefix("app ").removesuffix("-database")
        if not argv:
            grant = f'in [app.{self.name}] of tabsync.toml: {key} = ["PROGRAM", "ARGUMENT"]'
            return Permission(f"a command for {use}", use, None, "none is configured", grant, configured=False)
        found = shutil.which(argv[0], path=program_environment(self._environment({}), None).get("PATH"))
        if found is None:
            return Permission(f"execute {argv[0]}", use, False, "there is no such program, or it is not executable")
        return Permission(f"execute {argv[0]}", use, True, f"{found}; what it may do itself is not known here")

    def _run(self, use: str, facts: Facts, env: Mapping[str, str], secrets: Sequence[str]) -> Facts:
        if list(facts["argv"]) != list(self._named(use, self.restart_argv if use == "restart" else self.switch_argv)):
            raise BadUsage(f"[app.{self.name}] names another command than the plan", "make a new plan")
        ended = run_command(facts["argv"], env=self._environment(env), timeout=self.timeout)
        output = told(ended, secrets)
        if ended.code:
            because = f": {output[-1]}" if output else ""
            raise FailedPartway(f"{facts['argv'][0]} ended with exit code {ended.code}{because}", self._check())
        return {"code": ended.code, "output": output}

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {name: os.environ[name] for name in self.passes if name in os.environ} | dict(more)

    def _named(self, use: str, argv: tuple[str, ...]) -> tuple[str, ...]:
        if not argv:
            hint = f'add to [app.{self.name}] in tabsync.toml: {use} = ["PROGRAM", "ARGUMENT"]'
            raise BadUsage(f"no command is configured to {_WORDS[use]} {self.name}", hint)
        return argv

    def _check(self) -> str:
        return f"look at the program's own log, then: tabsync integration check {self.name}"


_WORDS = {"restart": "restart", "logs": "read the log of", "switch": "switch the database of"}


def told(ended: Finished, secrets: Sequence[str]) -> list[str]:
    """The last lines that a command printed, without secrets; those of its errors come last."""
    lines = [*ended.stdout.splitlines(), *ended.stderr]
    return [line for one in lines if (line := without_secrets(printable(one), secrets))][-_TOLD:]


def _because(ended: Finished) -> str:
    output = told(ended, ())
    return f": {output[-1]}" if output else ""
