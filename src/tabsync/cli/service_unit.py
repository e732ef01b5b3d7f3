"""tabsync service unit: a unit for systemd that keeps `tabsync serve` running, and lets it write only where it must.

How systemd reads such a file: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html
"""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.cli.serve import Console
from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.workspace import Workspace

_UNIT = """\
# Written by `tabsync service unit`. To install it, as root:
#   tabsync service unit > /etc/systemd/system/tabsync.service
#   systemctl daemon-reload && systemctl enable --now tabsync
# What it says: journalctl -u tabsync

[Unit]
Description=TabSync: schedule and console of {about}
Wants=network-online.target
# A clock that is set after the start would make the nights in between look missed.
After=network-online.target time-sync.target postgresql.service
# It never gives up: after a power cut the database may need longer than this service.
StartLimitIntervalSec=0

[Service]
Type=exec
User={user}
WorkingDirectory={place}
ExecStart={command}
# Secrets, which belong neither here nor into tabsync.toml: PGPASSWORD=..., AZURE_STORAGE_ACCOUNT_KEY=...
EnvironmentFile=-{environment}
UMask=0077
Restart=on-failure
RestartSec=10
# A run that is killed for its memory does not end the others.
OOMPolicy=continue

# SIGTERM goes to the main process only, which ends the others in order: runs get a minute to end by themselves, are
# then interrupted, and killed after another half. If the main process itself is killed, its runs go on and are adopted
# when it is started again; and recovered clusters (restore to-time) stay up. So the others are not systemd's to kill.
KillMode=process
TimeoutStopSec=180

NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
# Read-only, and not hidden: ~/.pgpass is there.
ProtectHome=read-only
# /tmp and /var/tmp are the real ones: sockets of servers that TabSync starts can be there, for psql outside as well.
ReadWritePaths={writable}
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""
_SHARED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is written here
_SECRETS = ("TABSYNC_", "PG", "AZURE_", "AWS_", "GOOGLE_", "SUPABASE_")


@dataclass(frozen=True, slots=True)
class Unit(Console):
    """What one may ask of service unit: what serve takes, and as whom it runs."""

    user: Annotated[str, Option("Who runs it: not root. By default whoever owns tabsync.toml.")] = ""


def unit_command(terminal: Terminal, request: Unit) -> None:
    """Print the unit; what is still missing for it is said beside."""
    from tabsync.procedures import PROCEDURES
    from tabsync.system.listen import checked_proxies, is_loopback
    from tabsync.workspace import find

    found = find(terminal.config)
    if found.config_path is None:
        raise BadUsage("a service needs a tabsync.toml", "create one: tabsync init URL")
    checked_proxies(request.proxies)
    if not (is_loopback(request.host) or request.name):
        raise Refused(f"{request.host} can be reached from other machines", "name the TLS proxy in front: --name NAME")
    serve = next(one for one in PROCEDURES if one.words == "serve")
    asked = serve.request_type(host=request.host, port=request.port, name=request.name, proxies=request.proxies)
    user = request.user or _owner(found.config_path)
    sys.stdout.write(unit_text(found, user, serve.command_line(asked)))
    sys.stdout.flush()
    for note in _missing(found, user):
        terminal.note(note)


def unit_text(workspace: Workspace, user: str, words: Sequence[str]) -> str:
    """The unit. words: of the command, without "tabsync". Raises Refused for root, and for what no unit can say."""
    if user in ("root", "0"):
        raise Refused("root can't be the user of the service", "adduser --system --group tabsync; then --user tabsync")
    config = workspace.config_path or Path("tabsync.toml")
    command = [sys.executable, "-m", "tabsync", *words, "--config", str(config)]
    return _UNIT.format(
        about=_whole(workspace.name or config.parent.name),
        user=_user(user),
        place=_whole(str(config.parent)),
        command=_command(command),
        environment=_whole(str(config.with_suffix(".env"))),
        writable=" ".join(_word(str(one)) for one in [*writable(workspace), *_SHARED]),
    )


def writable(workspace: Workspace) -> list[Path]:
    """The directories that a service of a workspace writes into, without those within another of them."""
    from tabsync.ledger.sqlite_file import sqlite_path

    places = [workspace.home, *(() if workspace.store_url else (workspace.store_root,))]
    places += [Path(place) for _, place in workspace.stores if "://" not in place]
    ledger = sqlite_path(workspace.ledger_url)
    places += [(workspace.config_path or ledger).parent.joinpath(ledger).parent] if ledger else []
    return [one for one in dict.fromkeys(places) if not any(other in one.parents for other in places)]


def _missing(workspace: Workspace, user: str) -> Iterator[str]:
    """What has to be there before systemd can start it, and what is set here only."""
    try:
        uid: int | None = (pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)).pw_uid
    except KeyError:
        uid = None
        yield f"there is no user {user} on this machine: adduser --system --group {user}"
    for place in writable(workspace):
        if not place.is_dir() or (uid is not None and place.stat().st_uid != uid):
            yield f"this directory must be there and belong to {user}, with all that is in it: {place}"
    here = sorted(name for name in os.environ if name.startswith(_SECRETS))
    if here:
        yield f"set here, and not for the service: {', '.join(here)}; what it needs of it belongs into the .env file"


def _owner(path: Path) -> str:
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _command(words: Sequence[str]) -> str:
    if any(sign in words[0] for sign in "'\"\\"):  # systemd takes them in what follows only
        raise Refused(f"systemd starts no program with such a path: {words[0]}", "install TabSync elsewhere")
    # Where a colon goes before it, no variable is looked for in it. Older ones than systemd 244 don't know it.
    return (":" if any("$" in one for one in words) else "") + " ".join(map(_word, words))


def _user(name: str) -> str:
    """A user as systemd takes one: https://systemd.io/USER_NAMES/ in its strict form, or the number of one."""
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,30}|[1-9][0-9]*", name):
        raise BadUsage(f"systemd takes no user of the name {name!r}", "letters, digits, - and _, a letter first")
    return name


def _whole(text: str) -> str:
    """The value of a setting that takes the rest of its line as it is."""
    if not text.isprintable() or text != text.strip() or text.endswith("\\"):
        raise Refused(f"{text!r} can't be written into a unit", "choose another directory, or another name")
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """One of several words; in quotes where it has to be."""
    plain = _whole(text)
    if plain and all(sign.isalnum() or sign in "/._-=%:,@+" for sign in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
