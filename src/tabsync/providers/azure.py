"""An application that is a container app of Azure, through Azure Resource Manager's REST API.

https://learn.microsoft.com/rest/api/containerapps/. There is no restart of an app: each active revision is restarted.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from tabsync.kernel.errors import BadUsage, FailedPartway, Refused, TabsyncError
from tabsync.providers.application import Facts, Intended, Log, Permission, Report
from tabsync.providers.azure_login import LOGIN, Login
from tabsync.providers.azure_permissions import permissions
from tabsync.providers.azure_replicas import Replicas
from tabsync.providers.rest import Api, checked_url

URL = "https://management.azure.com"
_VERSION = "2024-03-01"
_LOOK = 2.0  # seconds between two looks
_READ, _RESTART, _WRITE = (
    "Microsoft.App/containerApps/read",
    "Microsoft.App/containerApps/revisions/restart/action",
    "Microsoft.App/containerApps/write",
)
_READ_REVISIONS = "Microsoft.App/containerApps/revisions/read"


@dataclass(frozen=True, slots=True)
class Azure:
    """A container app. app: its name there; variable: that holds its connection string; url: of another cloud."""

    name: str
    app: str
    resource_group: str
    subscription: str = ""
    container: str = ""
    variable: str = "DATABASE_URL"
    url: str = URL
    login_url: str = LOGIN
    timeout: float = 600.0
    _known: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> str:
        """What it is, in words."""
        return f"container app {self.app} in resource group {self.resource_group}"

    @property
    def switch_takes(self) -> Literal["connection", "secret"]:
        """The name of a secret of the app: what is in it stays there."""
        return "secret"

    def restart_plan(self) -> Intended:
        """The active revisions, each of which is restarted."""
        active = [one["name"] for one in self._revisions()]
        if not active:
            raise Refused(
                f"{self.place} has no active revision: there is nothing to restart",
                f"to see them: az containerapp revision list --all {self._named_by_hand}",
            )
        preview = "\n".join(
            f"POST {self._path}/revisions/{one}/restart\naz containerapp revision restart --revision {one}"
            f" {self._named_by_hand}"
            for one in active
        )
        facts = {"id": self._path, "revisions": active}
        return Intended(facts, preview, "none needed: it starts again with the same settings", (), {"id": self._path})

    def restart(self, facts: Facts) -> Facts:
        """Restart each revision of the plan that is still active, one after the other."""
        self._same(facts)
        active = [one["name"] for one in self._revisions()]
        replicas = self._replicas()
        before: dict[str, Any] = {}
        for revision in (one for one in facts["revisions"] if one in active):
            before[revision] = replicas.seen(revision)
            try:
                self._api.send("POST", self._at(f"/revisions/{quote(revision, safe='')}/restart"), None, needs=_RESTART)
            except TabsyncError as error:
                done = [one for one in before if one != revision]
                if not done:
                    raise
                fact = f"restarted: {', '.join(done)}; not {revision}: {error.fact}"
                raise FailedPartway(fact, error.hint) from None
        left = [one for one in facts["revisions"] if one not in active]
        added = [one for one in active if one not in facts["revisions"]]
        return {"before": before, "no_longer_active": left, "active_since": added}

    def wait(self, _facts: Facts, done: Facts, report: Report) -> Facts:
        """Wait until the replicas of each revision are new and ready."""
        until = time.monotonic() + self.timeout
        if "latest" in done:
            return self._wait_for_revision(done, until, report)
        replicas, told = self._replicas(), {}
        for number, (revision, before) in enumerate(done["before"].items()):
            told[revision] = self._wait_for_replicas(replicas, revision, before, until)
            report(number + 1, len(done["before"]), "revisions")
        listed = [f"{revision}: {what}" for revision, what in told.items()]
        listed += [f"{one}: not active any more, not restarted" for one in done["no_longer_active"]]
        listed += [f"{one}: active only since the plan was made, not restarted" for one in done["active_since"]]
        return {"told": "; ".join(listed)}

    def logs(self, lines: int) -> Log:
        """The last lines of each replica of each active revision."""
        revisions = [one["name"] for one in self._revisions()]
        return self._replicas().logs(revisions, self.container, lines)

    def switch_plan(self, to: str) -> Intended:
        """The reference to another secret of the app, which makes a new revision."""
        found = self._app()
        kept = [str(one.get("name")) for one in found["properties"].get("configuration", {}).get("secrets") or ()]
        if to not in kept:
            known = f"it has: {', '.join(kept)}" if kept else "it has none"
            add = f"az containerapp secret set {self._named_by_hand} --secrets {to}=..."
            raise Refused(f"{self.place} has no secret {to}; {known}", f"to add it: {add}")
        container = self._container(found)
        before: Facts = next((one for one in container.get("env") or () if one.get("name") == self.variable), {})
        secret = str(before.get("secretRef") or "")
        preview = (
            f"PATCH {self._path}\n{self.variable} of container {container['name']}: secret {to}"
            f" (before: {f'secret {secret}' if secret else 'not from a secret'})"
        )
        undo = f"tabsync app switch-database {self.name} --to {secret}" if secret else "activate the revision of before"
        several = found["properties"].get("configuration", {}).get("activeRevisionsMode") == "Multiple"
        notes = ("several revisions are active: send the traffic to the new one yourself",) if several else ()
        facts = {"id": self._path, "container": container["name"], "secret": to}
        return Intended(facts, preview, undo, notes, {"id": self._path})

    def switch(self, facts: Facts, _connection: str) -> Facts:
        """Change the reference. The other settings go along as they are now."""
        self._same(facts)
        found = self._app()
        containers = found["properties"]["template"]["containers"]
        for one in containers:
            (one.get("resources") or {}).pop("ephemeralStorage", None)  # it can be read only
            if one["name"] == facts["container"]:
                others = [each for each in one.get("env") or () if each.get("name") != self.variable]
                one["env"] = [*others, {"name": self.variable, "secretRef": facts["secret"]}]
        body = {"properties": {"template": {"containers": containers}}}
        self._api.send("PATCH", self._at(""), body, needs=_WRITE)
        return {"latest": str(found["properties"].get("latestRevisionName") or "")}

    def permissions(self) -> list[Permission]:
        """What Azure says of this account."""
        return permissions(self._api, self._path)

    def _wait_for_replicas(self, replicas: Replicas, revision: str, before: Facts, until: float) -> str:
        while True:
            missing, told = replicas.missing(revision, before)
            if not missing:
                return told
            if time.monotonic() > until:
                raise FailedPartway(
                    f"revision {revision} is not ready after {self.timeout:g} s: {missing}",
                    f"tabsync app logs {self.name}",
                )
            time.sleep(_LOOK)

    def _wait_for_revision(self, done: Facts, until: float, report: Report) -> Facts:
        """Wait until the change has made a revision that is ready."""
        while True:
            found = self._app()["properties"]
            latest, ready = found.get("latestRevisionName"), found.get("latestReadyRevisionName")
            state = found.get("provisioningState")
            if state == "Succeeded" and latest == ready:
                same = " (the one of before: nothing was different)" if latest == done["latest"] else ""
                return {"told": f"revision {latest} is ready{same}"}
            if state == "Failed" or time.monotonic() > until:
                waited = "Azure gave up" if state == "Failed" else f"after {self.timeout:g} s"
                hint = f"tabsync app logs {self.name}"
                raise FailedPartway(f"revision {latest} is not ready, {waited}; {ready} still serves", hint)
            report(0, 1, "revisions")
            time.sleep(_LOOK)

    def _revisions(self) -> list[Facts]:
        """The active revisions."""
        listed: list[Facts] = []
        path = self._at("/revisions")
        for _ in range(100):  # pages
            found = self._api.get(path, needs=_READ_REVISIONS)
            listed += found.get("value") or []
            path = str(found.get("nextLink") or "")
            if not path:
                break
            if not path.startswith(f"{self._api.url}/"):
                raise self._api.unexpected("the next page is at another place")
        try:
            return [one for one in listed if one["name"] and one["properties"]["active"] is True]
        except (KeyError, TypeError):
            raise self._api.unexpected("its list of revisions is not as documented") from None

    def _app(self) -> Facts:
        found = self._api.get(self._at(""), needs=_READ)
        try:
            _ = found["properties"]["template"]["containers"][0]["name"]
        except (KeyError, TypeError, IndexError):
            raise self._api.unexpected("it is no container app") from None
        return found

    def _container(self, found: Facts) -> Facts:
        containers: list[Facts] = found["properties"]["template"]["containers"]
        named = [one for one in containers if self.container in ("", one["name"])]
        if not named:
            names = ", ".join(str(one["name"]) for one in containers)
            raise BadUsage(f"{self.place} has no container {self.container}", f"it has: {names}")
        return named[0]

    def _same(self, facts: Facts) -> None:
        if facts["id"] != self._path:
            raise Refused(f"[app.{self.name}] names another app than the plan", "make a new plan")

    def _replicas(self) -> Replicas:
        return Replicas(self._api, self._path, _VERSION)

    @property
    def _named_by_hand(self) -> str:
        return f"--name {self.app} --resource-group {self.resource_group}"

    @property
    def _api(self) -> Api:
        if "api" not in self._known:
            url = checked_url(f"url of [app.{self.name}]", self.url)
            subscription = self.subscription or os.environ.get("AZURE_SUBSCRIPTION_ID", "")
            login = Login(url, checked_url(f"login_url of [app.{self.name}]", self.login_url), subscription)
            self._known["login"], self._known["api"] = login, Api("Azure", url, login.token)
        api: Api = self._known["api"]
        return api

    @property
    def _path(self) -> str:
        """The app's resource id."""
        api = self._api
        login: Login = self._known["login"]
        if not login.subscription:
            api.token()  # whoever is logged in with az has one
        if not login.subscription:
            raise BadUsage(
                f"the subscription of {self.app} is not known",
                f'add to [app.{self.name}] in tabsync.toml: subscription = "ID"; or set AZURE_SUBSCRIPTION_ID',
            )
        group, app = quote(self.resource_group, safe=""), quote(self.app, safe="")
        return f"/subscriptions/{login.subscription}/resourceGroups/{group}/providers/Microsoft.App/containerApps/{app}"

    def _at(self, rest: str) -> str:
        return f"{self._path}{rest}?api-version={_VERSION}"
