"""An application that is a unit of systemd: systemctl and journalctl, as a person would use them.

https://www.freedesktop.org/software/systemd/man/latest/systemctl.html
"""

from __future__ import annotations

import grp
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused
from tabsync.providers.application import Facts, Intended, Log, Permission, Report
from tabsync.providers.command import told
from tabsync.system.commands import run_command
from tabsync.system.programs import Finished

_LOOK = 0.5  # seconds between two looks
_ASK = 20.0  # seconds for a question
_PASSED = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SYSTEMD_BUS_TIMEOUT")
_READERS = ("systemd-journal", "adm", "wheel")
"""Who reads the whole journal: https://www.freedesktop.org/software/systemd/man/latest/journalctl.html"""

_RULE = (
    "in /etc/polkit-1/rules.d/50-tabsync.rules: polkit.addRule((action, subject) => action.id == "
    '"org.freedesktop.systemd1.manage-units" && action.lookup("unit") == "{unit}" && subject.user == "{user}" '
    '? "yes" : null);'
)


@dataclass(frozen=True, slots=True)
class Systemd:
    """A unit. user: of the user's own manager; env_file: its EnvironmentFile= with the connection string.

    variable: its name in there.
    """

    name: str
    unit: str
    user: bool = False
    env_file: Path | None = None
    variable: str = "DATABASE_URL"
    timeout: float = 300.0

    @property
    def place(self) -> str:
        """What it is, in words."""
        return f"{'user ' if self.user else ''}unit {self.unit} of systemd"

    @property
    def switch_takes(self) -> Literal["connection", "secret"]:
        """A connection string, which is written into the unit's file of variables."""
        return "connection"

    def restart_plan(self) -> Intended:
        """The command; the unit must be loaded."""
        now = self._show()
        if now["LoadState"] != "loaded":
            raise BadUsage(
                f"systemd has no unit {self.unit}: it is {now['LoadState']}", f"correct unit in [app.{self.name}]"
            )
        preview = " ".join(self._systemctl("restart", self.unit))
        notes = () if now["ActiveState"] == "active" else (f"{self.unit} is {_state(now)} now: it will be started",)
        facts = {"unit": self.unit, "invocation": now["InvocationID"]}
        return Intended(
            facts, preview, "none needed: it starts again with the same settings", notes, {"unit": self.unit}
        )

    def restart(self, facts: Facts) -> Facts:
        """Restart the unit. Raises NotAllowed with the missing permission."""
        self._same(facts)
        ended = self._run(self.timeout, "restart", self.unit)
        if ended.code:
            raise self._refused(ended)
        return {"output": told(ended, ())}

    def wait(self, facts: Facts, _done: Facts, report: Report) -> Facts:
        """Wait until it is active, in another invocation than before."""
        until = time.monotonic() + self.timeout
        while True:
            now = self._show()
            again = now["InvocationID"] != facts["invocation"] or not now["InvocationID"]
            if now["ActiveState"] == "active" and again:
                return {"told": f"{self.unit} is {_state(now)}"}
            if now["ActiveState"] == "failed" or time.monotonic() > until:
                why = _state(now) if again else "the same process as before"
                raise FailedPartway(f"{self.unit} is not up again: it is {why}", f"tabsync app logs {self.name}")
            report(0, 1, "units")
            time.sleep(_LOOK)

    def logs(self, lines: int) -> Log:
        """The last lines of the unit in the journal."""
        which = "--user-unit" if self.user else "--unit"
        argv = ["journalctl", which, self.unit, "--lines", str(lines), "--no-pager", "--output", "short-iso"]
        ended = run_command(argv, env=_environment(), timeout=_ASK)
        if ended.code:
            said = told(ended, ())
            raise FailedPartway(f"the journal can't be read{': ' + said[-1] if said else ''}", _journal_grant())
        notes = [line for line in ended.stderr if line.startswith("Hint:")]
        return Log(tuple((self.unit, line) for line in ended.stdout.splitlines()[-lines:]), tuple(notes[:1]))

    def switch_plan(self, to: str) -> Intended:
        """The file that changes, and the restart."""
        path = self._env_file()
        restart = self.restart_plan()
        preview = f"{self.variable}=(the connection string of {to}) into {path}\n{restart.preview}"
        undo = f"move {kept_as(path)} back to {path}, then: tabsync app restart {self.name}"
        facts = restart.facts | {"file": str(path), "variable": self.variable}
        return Intended(facts, preview, undo, restart.notes, restart.target)

    def switch(self, facts: Facts, connection: str) -> Facts:
        """Write the connection string into the file, keep the one before beside it, and restart the unit."""
        self._same(facts)
        path = self._env_file()
        if str(path) != facts["file"]:
            raise Refused(f"[app.{self.name}] names another file than the plan", "make a new plan")
        write_variable(path, facts["variable"], connection)
        return self.restart(facts) | {"file": str(path), "kept": str(kept_as(path))}

    def permissions(self) -> list[Permission]:
        """Whether the unit is there, and whether this account may restart it, read its journal and write its file."""
        try:
            loaded = self._show()["LoadState"] == "loaded"
            found = Permission(f"see unit {self.unit}", "app restart", loaded, "" if loaded else "it is not loaded")
        except (BadUsage, FailedPartway, NotAllowed) as error:
            found = Permission(f"see unit {self.unit}", "app restart", None, error.fact)
        return [found, self._may_restart(), self._may_read(), self._may_write()]

    def _may_restart(self) -> Permission:
        name = f"org.freedesktop.systemd1.manage-units of {self.unit}"
        if self.user or os.geteuid() == 0:
            return Permission(name, "app restart", True, "the account's own units" if self.user else "root may")
        grant = _RULE.format(unit=self.unit, user=_login())
        return Permission(name, "app restart", None, "only polkit knows, when it is asked", grant)

    def _may_read(self) -> Permission:
        groups = {_group(one) for one in os.getgroups()}
        allowed = self.user or os.geteuid() == 0 or bool(groups & set(_READERS))
        grant = "" if allowed else _journal_grant()
        return Permission("read the journal", "app logs", allowed, "" if allowed else "in none of its groups", grant)

    def _may_write(self) -> Permission:
        use = "app switch-database"
        if self.env_file is None:
            grant = f'in [app.{self.name}] of tabsync.toml: env_file = "FILE", which the unit names in EnvironmentFile='
            name = "a file with the connection string"
            return Permission(name, use, None, "none is configured", grant, configured=False)
        allowed = os.access(self.env_file, os.W_OK) and os.access(self.env_file.parent, os.W_OK)
        grant = "" if allowed else f"give this account the directory {self.env_file.parent} and the file"
        return Permission(f"write {self.env_file}", use, allowed, "", grant)

    def _show(self) -> dict[str, str]:
        wanted = ("LoadState", "ActiveState", "SubState", "InvocationID")
        ended = self._run(_ASK, "show", self.unit, f"--property={','.join(wanted)}")
        if ended.code:
            raise self._refused(ended)
        found = dict(line.partition("=")[::2] for line in ended.stdout.splitlines())
        if missing := [one for one in wanted if one not in found]:
            raise FailedPartway(f"systemctl show {self.unit} does not say {missing[0]}", f"systemctl show {self.unit}")
        return found

    def _run(self, timeout: float, *words: str) -> Finished:
        return run_command(self._systemctl(*words), env=_environment(), timeout=timeout)

    def _systemctl(self, *words: str) -> list[str]:
        return ["systemctl", *(["--user"] if self.user else []), "--no-ask-password", *words]

    def _refused(self, ended: Finished) -> FailedPartway | NotAllowed:
        said = told(ended, ())
        because = f": {said[-1]}" if said else f": exit code {ended.code}"
        if re.search("authentication required|access denied|not authorized|permission denied", because, re.IGNORECASE):
            grant = _RULE.format(unit=self.unit, user=_login())
            return NotAllowed(f"the account may not restart {self.unit} (manage-units){because}", grant)
        return FailedPartway(f"systemctl failed for {self.unit}{because}", f"tabsync app logs {self.name}")

    def _same(self, facts: Facts) -> None:
        if facts["unit"] != self.unit:
            raise Refused(f"[app.{self.name}] names another unit than the plan", "make a new plan")

    def _env_file(self) -> Path:
        if self.env_file is None:
            hint = (
                f'add to [app.{self.name}] in tabsync.toml: env_file = "FILE", which the unit has as EnvironmentFile='
            )
            raise BadUsage(f"no file with the connection string of {self.name} is configured", hint)
        if not self.env_file.is_file():
            raise BadUsage(f"there is no file {self.env_file}", f"correct env_file in [app.{self.name}]")
        return self.env_file


def kept_as(path: Path) -> Path:
    """Where the file of before is kept."""
    return path.with_name(f"{path.name}.before")


def write_variable(path: Path, variable: str, value: str) -> None:
    """Set a variable in a file of variables; what it held before is kept beside it, with the same owner and mode.

    Quoted as systemd reads it: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
    Raises FailedPartway when it can't be written; then nothing was changed.
    """
    if any(not one.isprintable() for one in value):
        raise BadUsage("the connection string has a line break or another control character", "correct it")
    quoted = re.sub(r'(["\\`$])', r"\\\1", value)
    line = f'{variable}="{quoted}"'
    try:
        text = path.read_text(encoding="utf-8")
        start = re.compile(rf"\s*{re.escape(variable)}\s*=")
        if any(start.match(one) and one.endswith("\\") for one in text.splitlines()):
            raise BadUsage(f"{variable} in {path} goes on in the next line", "write it in one line")
        others = [one for one in text.splitlines() if not start.match(one)]
        _replace(kept_as(path), text, path)
        _replace(path, "\n".join([*others, line]) + "\n", path)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise FailedPartway(
            f"can't write {path}: {why}; the unit was not restarted", "give this account the file"
        ) from None


def _replace(path: Path, text: str, like: Path) -> None:
    as_it_is = like.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                os.fchown(handle, as_it_is.st_uid, as_it_is.st_gid)
            os.fchmod(handle, as_it_is.st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _state(now: dict[str, str]) -> str:
    return f"{now['ActiveState']} ({now['SubState']})"


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def _journal_grant() -> str:
    return f"usermod --append --groups systemd-journal {_login()}"


def _login() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""
