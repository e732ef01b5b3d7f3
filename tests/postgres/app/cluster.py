"""A Kubernetes API server on the loopback, as documented, with one Deployment: https://kubernetes.io/docs/reference/

After a change of its template, each look at it finds the rollout one step further: observed, updated, available.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.postgres.app.serving import Answer, Api, Asked

TOKEN = "k8s-canary-0123456789"
_DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/backend"
_PODS = "/api/v1/namespaces/shop/pods"
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ENV = [{"name": "LEVEL", "value": "info"}, {"name": "DATABASE_URL", "value": "postgresql://app:plain-canary@old/shop"}]


def kubeconfig(directory: Path, url: str, **user: Any) -> Path:
    """A kubeconfig that leads there."""
    import json

    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": TOKEN}}],
    }
    file = directory / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


def _without_nulls(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in found.items()
        if value is not None
    }


@dataclass
class Cluster(Api):
    """stuck: the rollout gets no further than "updated"; allowed: what the account may do, None: everything."""

    deployment: dict[str, Any] = field(default_factory=dict)
    stuck: bool = False
    allowed: set[str] | None = None
    log: str = "started\nGET /\nerror: the gateway says no\n"
    pods: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.deployment = {
            "metadata": {"name": "backend", "uid": "u-1", "generation": 4},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "backend"}},
                "template": {"metadata": {}, "spec": {"containers": [{"name": "web", "env": copy.deepcopy(_ENV)}]}},
            },
            "status": {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
        }
        self.pods = [self.pod("backend-1"), self.pod("backend-2")]

    @staticmethod
    def pod(name: str, waits: str = "", restarts: int = 0) -> dict[str, Any]:
        state = {"waiting": {"reason": waits, "message": "password=canary-of-the-pod"}} if waits else {"running": {}}
        status = {"name": "web", "ready": not waits, "restartCount": restarts, "state": state}
        return {
            "metadata": {"name": name, "creationTimestamp": "2026-11-29T09:00:00Z"},
            "spec": {"containers": [{"name": "web"}]},
            "status": {"containerStatuses": [status]},
        }

    def answer(self, one: Asked) -> Answer:
        if one.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"kind": "Status", "message": "Unauthorized"}
        if (one.method, one.path) == ("GET", _DEPLOYMENT):
            found = copy.deepcopy(self.deployment)
            self._on()
            return 200, found
        if (one.method, one.path) == ("PATCH", _DEPLOYMENT):
            return self._patch(one)
        if (one.method, one.path) == ("POST", _REVIEWS):
            asked = one.json["spec"]["resourceAttributes"]
            name = f"{asked['verb']} {asked['resource']}{'/' + asked['subresource'] if 'subresource' in asked else ''}"
            return 201, {"status": {"allowed": self.allowed is None or name in self.allowed}}
        if one.path == _PODS:
            assert one.query == {"labelSelector": "app=backend"}
            return 200, {"items": self.pods}
        if one.path.startswith(f"{_PODS}/") and one.path.endswith("/log"):
            lines = self.log.splitlines()[-int(one.query["tailLines"]) :]
            before = ["panic: before"] if one.query.get("previous") else []
            return 200, "\n".join([*before, *lines]) + "\n"
        return 404, {"kind": "Status", "message": f"{one.path} not found"}

    def _patch(self, one: Asked) -> Answer:
        assert one.headers["content-type"] == "application/strategic-merge-patch+json"
        template = one.json["spec"]["template"]
        here = self.deployment["spec"]["template"]
        here["metadata"].setdefault("annotations", {}).update(template["metadata"]["annotations"])
        for container in template.get("spec", {}).get("containers", ()):
            mine = next(each for each in here["spec"]["containers"] if each["name"] == container["name"])
            for variable in container["env"]:  # merged by name; null deletes
                env = next(each for each in mine["env"] if each["name"] == variable["name"])
                merged = _without_nulls({**env, **variable})
                env.clear()
                env.update(merged)
        self.deployment["metadata"]["generation"] += 1
        return 200, copy.deepcopy(self.deployment)

    def _on(self) -> None:
        status, generation = self.deployment["status"], self.deployment["metadata"]["generation"]
        if status["observedGeneration"] < generation:
            status |= {"observedGeneration": generation, "updatedReplicas": 1, "replicas": 3, "availableReplicas": 2}
        elif status["updatedReplicas"] < 2:
            status |= {"updatedReplicas": 2, "replicas": 3}
        elif not self.stuck:
            status |= {"replicas": 2, "availableReplicas": 2}
