"""The replicas of a container app's revision: whether they are new and ready, and what they wrote.

https://learn.microsoft.com/rest/api/containerapps/container-apps-revision-replicas/list-replicas
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tabsync.kernel.errors import BadUsage
from tabsync.providers.application import Facts, Log
from tabsync.providers.rest import Api, checked_url

_READ = "Microsoft.App/containerApps/revisions/replicas/read"
_TOKEN = "Microsoft.App/containerApps/getAuthToken/action"  # noqa: S105 - a permission's name
_STREAM = "Microsoft.App/containerApps/logstream/action"
_MOST_LINES = 300
"""More of a container's lines are not given: https://learn.microsoft.com/cli/azure/containerapp/logs"""


@dataclass(frozen=True, slots=True)
class Replicas:
    """The replicas of one app. path: its resource id; version: of the API."""

    api: Api
    path: str
    version: str

    def seen(self, revision: str) -> Facts:
        """How often the containers of each replica have been started again, by the replica's name."""
        return {one["name"]: _restarts(one) for one in self._of(revision)}

    def missing(self, revision: str, before: Facts) -> tuple[str, str]:
        """What a revision still lacks after a restart, "" when nothing; and in words how it is.

        before: as seen() had it. A replica of before counts as new when its containers were started again.
        """
        found = self._of(revision)
        if not found and not before:
            return "", "no replica: it is scaled to zero, and starts when it is asked for"
        if not found:
            return "it has no replica", ""
        for one in found:
            name = one["name"]
            if name in before and _restarts(one) <= before[name]:
                return f"replica {name} has not been restarted", ""
            if waits := [each for each in _containers(one) if not each.get("ready")]:
                why = waits[0].get("runningStateDetails") or waits[0].get("runningState") or "not ready"
                return f"container {waits[0].get('name')} of replica {name}: {str(why)[:200]}", ""
        return "", f"{len(found)} replica{'s' if len(found) != 1 else ''} new and ready"

    def logs(self, revisions: Sequence[str], container: str, lines: int) -> Log:
        """The last lines of each replica. container: "": the first of each."""
        replicas = [one for revision in revisions for one in self._of(revision)]
        if not replicas:
            raise BadUsage("no replica runs, so there is no log to read", "its older lines are in Log Analytics")
        granted = self.api.send("POST", self._at("/getAuthtoken"), None, needs=_TOKEN)
        token = (granted.get("properties") or {}).get("token")
        if not isinstance(token, str) or not token:
            raise self.api.unexpected("it has no token for the log")
        found: list[tuple[str, str]] = []
        for one in replicas:
            if which := next((each for each in _containers(one) if container in ("", each.get("name"))), None):
                found += [(one["name"], line) for line in self._read(str(which.get("logStreamEndpoint")), token, lines)]
        notes = (f"Azure gives the last {_MOST_LINES} lines of each replica only",) if lines > _MOST_LINES else ()
        return Log(tuple(found), notes)

    def _read(self, endpoint: str, token: str, lines: int) -> list[str]:
        # Azure itself has just named this place, and the token opens this app's log only.
        place = checked_url("the address of the log", endpoint.partition("?")[0])
        stream = Api("Azure's log", place, lambda: token)
        text = stream.text(f"?follow=false&output=text&tailLines={min(lines, _MOST_LINES)}", needs=_STREAM)
        return text.splitlines()[-lines:]

    def _of(self, revision: str) -> list[Facts]:
        found = self.api.get(self._at(f"/revisions/{quote(revision, safe='')}/replicas"), needs=_READ).get("value")
        try:
            return [one for one in found or () if one["name"] and one["properties"] is not None]
        except (KeyError, TypeError):
            raise self.api.unexpected("its list of replicas is not as documented") from None

    def _at(self, rest: str) -> str:
        return f"{self.path}{rest}?api-version={self.version}"


def _containers(replica: Facts) -> list[dict[str, Any]]:
    return list(replica["properties"].get("containers") or ())


def _restarts(replica: Facts) -> int:
    return sum(int(one.get("restartCount") or 0) for one in _containers(replica))
