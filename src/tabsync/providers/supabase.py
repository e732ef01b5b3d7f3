"""Supabase's management API, as far as its backups go: https://supabase.com/docs/reference/api

The access token comes from SUPABASE_ACCESS_TOKEN and from nowhere else. It stands in one request header, and in no
argument, error, log or record.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.postgres.conninfo import libpq_environment
from tabsync.providers.http import ask

if TYPE_CHECKING:
    import httpx

TOKEN = "SUPABASE_ACCESS_TOKEN"  # noqa: S105 - the variable's name
URL = "https://api.supabase.com"
_URL_OVERRIDE = "TABSYNC_SUPABASE_URL"
"""For tests only: another place that speaks the API. Loopback or https, since the token goes there."""

HEALTHY = "ACTIVE_HEALTHY"
FAILED = ("RESTORE_FAILED", "INIT_FAILED", "REMOVED")
"""Of the states of a project: https://supabase.com/docs/reference/api/v1-get-project"""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REF = re.compile(r"[a-z0-9-]{3,64}")
_DIRECT = re.compile(r"db\.([a-z0-9]+)\.supabase\.(?:co|com)")
_POOLED = re.compile(r"[^.]+\.([a-z0-9]+)")
_LONGEST_TOLD = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup that Supabase took. status: its word, "COMPLETED" when it is good; physical: a copy of the disk."""

    id: str
    at: datetime
    physical: bool
    status: str


@dataclass(frozen=True, slots=True)
class Protection:
    """What Supabase keeps of a project. earliest, latest: the window of point-in-time recovery, None without one."""

    region: str
    pitr: bool
    snapshots: tuple[Snapshot, ...]
    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True, slots=True)
class Project:
    """A project, and how to ask about it. attempts: of each request that only reads."""

    ref: str
    url: str
    token: str = field(repr=False)
    attempts: int = 4

    def protection(self) -> Protection:
        """What Supabase keeps. Raises CannotConnect, NotAllowed or BadUsage (no such project)."""
        return parse_protection(self._ask("GET", "/database/backups"))

    def status(self) -> str:
        """The project's state, in Supabase's words."""
        status = self._ask("GET", "").get("status")
        if not isinstance(status, str):
            raise _unexpected("the project has no status")
        return status

    def restore(self, moment: datetime) -> None:
        """Ask for the database, in place, as it was at a moment: what came later is gone.

        Sent once: whether a request that got no answer was taken isn't known, and a second one would be another
        restore. Raises FailedPartway then.
        """
        body = {"recovery_time_target_unix": int(moment.timestamp())}
        self._ask("POST", "/database/backups/restore-pitr", body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer = ask(
            method,
            f"{self.url}/v1/projects/{self.ref}{path}",
            body,
            headers={"authorization": f"Bearer {self.token}", "accept": "application/json"},
            attempts=self.attempts,
            unknown=_unknown_outcome,
        )
        return self._content(method, answer)

    def _content(self, method: str, answer: httpx.Response) -> dict[str, Any]:
        if not answer.is_success:
            raise self._complaint(method, answer)
        if not answer.content:
            return {}
        try:
            content = answer.json()
        except ValueError:
            raise _unexpected("it is not JSON") from None
        if not isinstance(content, dict):
            raise _unexpected("it is not an object")
        return content

    def _complaint(self, method: str, answer: httpx.Response) -> TabsyncError:
        told = self._message(answer)
        if answer.status_code == 401:
            return NotAllowed(
                f"Supabase does not accept the token in {TOKEN}{told}",
                "create a new one at https://supabase.com/dashboard/account/tokens",
            )
        if answer.status_code == 403:
            return NotAllowed(
                f"the token in {TOKEN} lacks the permission for this{told}", "use a token of an owner of the project"
            )
        if answer.status_code == 404:
            return BadUsage(
                f"Supabase has no project {self.ref} for this token{told}", 'check project = "..." in tabsync.toml'
            )
        if answer.status_code == 429 or (answer.status_code >= 500 and method == "GET"):
            fact = f"Supabase answered {answer.status_code}, {self.attempts} times{told}"
            return CannotConnect(fact, "try again later; https://status.supabase.com")
        if answer.status_code >= 500:
            return _unknown_outcome(f"it answered {answer.status_code}{told}")
        return Refused(
            f"Supabase rejected the request: {answer.status_code}{told}",
            "check the project's page of backups at Supabase",
        )

    def _message(self, answer: httpx.Response) -> str:
        """What an error says, if it says it as documented: its message, in one short line, without the token."""
        try:
            message = answer.json()["message"]
        except (ValueError, KeyError, TypeError):
            return ""
        if not isinstance(message, str):
            return ""
        line = " ".join("".join(one if one.isprintable() else " " for one in message).split())
        return f" ({line.replace(self.token, '...')[:_LONGEST_TOLD]})" if line else ""


def open_project(ref: str, attempts: int = 4) -> Project:
    """A project by its reference. Raises NotAllowed when there is no token, BadUsage when something is misspelled."""
    check_ref(ref)
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise NotAllowed(f"{TOKEN} is not set", "create a token at https://supabase.com/dashboard/account/tokens")
    if not token.isascii() or not token.isprintable():
        raise BadUsage(f"the value of {TOKEN} is not a token", "copy it again")
    return Project(ref, place_of(_URL_OVERRIDE, URL), token, attempts)


def check_ref(ref: str) -> None:
    """Raises BadUsage for what is no reference of a project: it becomes a part of an address."""
    if not _REF.fullmatch(ref):
        raise BadUsage(
            f"{ref!r} is not the reference of a project",
            "the reference is the 20 letters in the address of the project's dashboard",
        )


def place_of(variable: str, url: str) -> str:
    """Where to ask: the URL, or what an environment variable says instead. Raises BadUsage for what isn't safe."""
    found = os.environ.get(variable, url).rstrip("/")
    parts = urlsplit(found)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise BadUsage(f"{variable} is neither https nor loopback", "use https: the token would be sent unencrypted")
    return found


def project_of(conninfo: str) -> str | None:
    """The reference of the Supabase project that a connection string leads to, by its host or its pooler's user.

    https://supabase.com/docs/guides/database/connecting-to-postgres
    """
    env = libpq_environment(conninfo)
    host, user = env.get("PGHOST", "").lower(), env.get("PGUSER", "")
    if direct := _DIRECT.fullmatch(host):
        return direct[1]
    if host.endswith((".pooler.supabase.com", ".pooler.supabase.co")) and (pooled := _POOLED.fullmatch(user)):
        return pooled[1]
    return None


def parse_protection(content: Mapping[str, Any]) -> Protection:
    """What the API's list of backups says. Raises CannotConnect when it isn't what is documented.

    A project without physical backups has no window: the object is empty, null or holds zeros.
    """
    try:
        window = content.get("physical_backup_data") or {}
        found = [
            Snapshot(
                str(one.get("id", "")),
                _moment(one["inserted_at"]),
                bool(one["is_physical_backup"]),
                str(one["status"]),
            )
            for one in content["backups"]
        ]
        bounds = [window.get(f"{which}_physical_backup_date_unix") for which in ("earliest", "latest")]
        earliest, latest = (datetime.fromtimestamp(int(one), UTC) if one else None for one in bounds)
        pitr = content["pitr_enabled"]
        if not isinstance(pitr, bool):
            raise TypeError
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise _unexpected("its list of backups is not as documented") from None
    ordered = tuple(sorted(found, key=lambda one: one.at))
    whole = earliest is not None and latest is not None
    region = str(content.get("region", ""))
    return Protection(region, pitr, ordered, earliest if whole else None, latest if whole else None)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unexpected(why: str) -> CannotConnect:
    return CannotConnect(f"Supabase's answer has an unknown format: {why}", "look for a newer tabsync")


def _unknown_outcome(why: str) -> FailedPartway:
    return FailedPartway(
        f"it is unknown whether Supabase accepted the request: {why}",
        "check the project's page at Supabase first; repeat the command only if no restore is running there",
    )
