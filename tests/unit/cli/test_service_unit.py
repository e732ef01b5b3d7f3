"""The unit for systemd: what it starts, where that may write, and that systemd reads it as it was meant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tabsync.cli import service_unit
from tabsync.cli.service_unit import unit_text, writable
from tabsync.kernel.errors import Refused
from tabsync.workspace import Workspace
from tests.conftest import missing

ODD = ["plain", "a b", "50%n", "x$HOME", 'it\'s "it"', "back\\slash", "ünï;", "#hash"]


def workspace(base: Path, **values: object) -> Workspace:
    given: dict[str, object] = {
        "home": base / ".tabsync",
        "conninfo": "host=db password=hunter2",
        "store_root": base / "backups",
        "manual_path": base / "manual.md",
        "ledger_url": f"sqlite:///{base}/.tabsync/ledger.sqlite",
        "config_path": base / "tabsync.toml",
    }
    return Workspace(**(given | values))  # type: ignore[arg-type]


def settings(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def test_it_starts_serve_with_this_file_and_ends_it_in_order() -> None:
    found = settings(unit_text(workspace(Path("/srv/shop")), "backups", ["serve", "--port", "9000"]))
    assert found["User"] == "backups"
    assert found["WorkingDirectory"] == "/srv/shop"
    assert found["ExecStart"] == f"{sys.executable} -m tabsync serve --port 9000 --config /srv/shop/tabsync.toml"
    assert found["KillMode"] == "process"
    from tabsync.service import parent

    assert int(found["TimeoutStopSec"]) > parent._END, "systemd would kill it while it ends its runs"
    assert (found["Restart"], found["StartLimitIntervalSec"], found["OOMPolicy"]) == ("on-failure", "0", "continue")
    assert (found["NoNewPrivileges"], found["ProtectSystem"]) == ("yes", "strict")
    assert "hunter2" not in str(found)


def test_it_may_write_where_it_has_to_and_nowhere_else() -> None:
    base = Path("/srv/shop")
    assert writable(workspace(base)) == [base / ".tabsync", base / "backups"]
    assert writable(workspace(base, store_url="az://x/y")) == [base / ".tabsync"]
    assert writable(workspace(base, store_root=base / ".tabsync" / "store")) == [base / ".tabsync"]
    stores = (("Local", "/mnt/backups"), ("Azure Blob Storage", "az://x/y"))
    assert writable(workspace(base, stores=stores))[2:] == [Path("/mnt/backups")]
    assert writable(workspace(base, ledger_url="sqlite:////var/lib/l.sqlite"))[2:] == [Path("/var/lib")]
    assert writable(workspace(base, ledger_url="sqlite:///state/l.sqlite"))[2:] == [base / "state"]
    assert writable(workspace(base, ledger_url="postgresql://ledger")) == [base / ".tabsync", base / "backups"]
    assert settings(unit_text(workspace(base), "backups", ["serve"]))["ReadWritePaths"] == (
        "/srv/shop/.tabsync /srv/shop/backups /tmp /var/tmp"
    )


@pytest.mark.parametrize("user", ["root", "0"])
def test_never_as_root(user: str) -> None:
    with pytest.raises(Refused, match="root"):
        unit_text(workspace(Path("/srv/shop")), user, ["serve"])


@pytest.mark.parametrize("name", ["line\nbreak", "end\\", "end ", "bell\a"])
def test_what_no_unit_can_say_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="can't be written into a unit"):
        unit_text(workspace(Path("/srv") / name), "backups", ["serve"])


@pytest.mark.parametrize("name", ODD)
def test_systemd_reads_it_as_it_was_meant(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze")
    base = tmp_path / name
    base.mkdir()
    refused = any(sign in name for sign in "'\"\\")
    program = (tmp_path if refused else base) / "python"
    program.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(program))
    text = unit_text(workspace(base, name=name), "daemon", ["serve", "--name", "console.example.org"])
    assert verified(tmp_path, text) == []
    # It does look: a program of another name isn't there, and a setting of another name is none.
    assert "is not executable" in " ".join(verified(tmp_path, text.replace("/python", "/pythom")))
    assert "Unknown key" in " ".join(verified(tmp_path, text.replace("KillMode", "KilMode")))


def test_no_variable_is_looked_for_in_the_command() -> None:
    # systemd-analyze verify doesn't tell: what is missing then is missing when it starts.
    assert settings(unit_text(workspace(Path("/srv/x$HOME")), "backups", ["serve"]))["ExecStart"].startswith(":/")
    assert settings(unit_text(workspace(Path("/srv/shop")), "backups", ["serve"]))["ExecStart"].startswith("/")


@pytest.mark.parametrize("name", ["it's", 'quo"ted', "back\\slash"])
def test_a_program_that_systemd_would_not_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", f"/opt/{name}/python")
    with pytest.raises(Refused, match="starts no program"):
        unit_text(workspace(Path("/srv/shop")), "backups", ["serve"])


def verified(tmp_path: Path, text: str) -> list[str]:
    """What systemd has to say of a unit."""
    unit = tmp_path / "tabsync.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if "tabsync.service" in line]


def test_what_is_still_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(service_unit._SECRETS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TABSYNC_STORE", "az://secret")
    found = list(service_unit._missing(workspace(tmp_path), "nobody-of-this-name"))
    assert [re.sub(r": /.*", "", one) for one in found] == [
        "there is no user nobody-of-this-name on this machine: adduser --system --group nobody-of-this-name",
        *2 * ["this directory must be there and belong to nobody-of-this-name, with all that is in it"],
        "set here, and not for the service: TABSYNC_STORE; what it needs of it belongs into the .env file",
    ]
    for place in writable(workspace(tmp_path)):
        place.mkdir()
    monkeypatch.delenv("TABSYNC_STORE")
    assert list(service_unit._missing(workspace(tmp_path), service_unit._owner(tmp_path))) == []
