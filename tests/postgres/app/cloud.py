"""Azure on the loopback: the token endpoint, and the parts of Resource Manager's REST API that container apps have.

https://learn.microsoft.com/rest/api/containerapps/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.postgres.app.serving import Answer, Api, Asked

TOKEN, SECRET, LOG_TOKEN = "arm-canary-0123456789", "secret-canary-0123456789", "log-canary-0123456789"
SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
APP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/tabsync-rg/providers/Microsoft.App/containerApps/tabsync-backend"
EVERYTHING: list[dict[str, Any]] = [{"actions": ["*"], "notActions": [], "dataActions": ["*"], "notDataActions": []}]
TABLE = f"""[app.backend]
kind = "azure"
app = "tabsync-backend"
resource_group = "tabsync-rg"
subscription = "{SUBSCRIPTION}"
"""


@dataclass
class Cloud(Api):
    """revisions: whether each is active; replicas: of each, by their names how often they were started again.

    never: revisions whose replicas never get ready; in_place: a restart keeps the replicas' names.
    """

    revisions: dict[str, bool] = field(default_factory=lambda: {"r--1": True, "r--2": True, "r--0": False})
    replicas: dict[str, dict[str, int]] = field(default_factory=lambda: {"r--1": {"a": 0, "b": 0}, "r--2": {"c": 0}})
    never: set[str] = field(default_factory=set)
    in_place: bool = False
    granted: list[dict[str, Any]] = field(default_factory=lambda: EVERYTHING)
    log: str = "started\nerror: the gateway says no\n"
    app: dict[str, Any] = field(default_factory=dict)
    asks: int = 0

    def __post_init__(self) -> None:
        env = [{"name": "LEVEL", "value": "info"}, {"name": "DATABASE_URL", "secretRef": "db"}]
        container = {"name": "web", "image": "shop:1", "env": env, "resources": {"cpu": 1, "ephemeralStorage": "2Gi"}}
        self.app = {
            "latestRevisionName": "r--2",
            "latestReadyRevisionName": "r--2",
            "provisioningState": "Succeeded",
            "configuration": {"secrets": [{"name": "db"}, {"name": "db-new"}], "activeRevisionsMode": "Single"},
            "template": {"containers": [container], "scale": {"minReplicas": 1}},
        }

    def answer(self, one: Asked) -> Answer:
        if one.path.endswith("/oauth2/v2.0/token"):
            form = {key: value[0] for key, value in parse_qs(one.body.decode()).items()}
            good = form["client_secret"] == SECRET and form["scope"] == f"{self.url}/.default"
            return (200, {"access_token": TOKEN, "expires_in": 3600}) if good else (401, {"error": "invalid_client"})
        if one.path == "/logstream":
            good = one.headers.get("authorization") == f"Bearer {LOG_TOKEN}" and one.query["follow"] == "false"
            return (200, self.log) if good else (401, "")
        if one.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"code": "Unauthorized", "message": "no"}}
        if "api-version" not in one.query or not one.path.startswith(APP):
            return 404, {"error": {"code": "ResourceNotFound", "message": "no such app"}}
        return self._of_app(one, one.path.removeprefix(APP))

    def _of_app(self, one: Asked, rest: str) -> Answer:
        if rest == "" and one.method == "GET":
            return self._app()
        if rest == "" and one.method == "PATCH":
            self.app["template"] |= one.json["properties"]["template"]
            self.app |= {"latestRevisionName": "r--3", "provisioningState": "InProgress"}
            return 202, ""
        if rest == "/revisions":
            listed = [{"name": name, "properties": {"active": active}} for name, active in self.revisions.items()]
            if one.query.get("page"):
                return 200, {"value": listed[1:]}
            return 200, {"value": listed[:1], "nextLink": f"{self.url}{APP}/revisions?api-version=x&page=2"}
        if rest == "/getAuthtoken":
            return 200, {"properties": {"token": LOG_TOKEN}}
        if rest == "/providers/Microsoft.Authorization/permissions":
            return 200, {"value": self.granted}
        _, _, revision, what = rest.split("/")
        if what == "restart":
            old = self.replicas[revision]
            kept = {name: count + 1 for name, count in old.items()}
            self.replicas[revision] = kept if self.in_place else {f"{name}2": 0 for name in old}
            self.asks = 0
            return 200, ""
        self.asks += 1
        return 200, {"value": [self._replica(revision, *each) for each in self.replicas[revision].items()]}

    def _replica(self, revision: str, name: str, restarts: int) -> dict[str, Any]:
        ready = revision not in self.never and self.asks != 1
        state = {"ready": ready, "restartCount": restarts, "runningState": "Running" if ready else "Waiting"}
        state |= {} if ready else {"runningStateDetails": "ImagePullBackOff"}
        container = {"name": "web", "logStreamEndpoint": f"{self.url}/logstream?x=y", **state}
        return {"name": name, "properties": {"runningState": "Running", "containers": [container]}}

    def _app(self) -> Answer:
        found = {"name": "tabsync-backend", "properties": {**self.app}}
        if self.app["provisioningState"] == "InProgress":
            self.app |= {"provisioningState": "Succeeded", "latestReadyRevisionName": "r--3"}
        return 200, found
