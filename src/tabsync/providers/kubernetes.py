"""An application that is a Deployment of Kubernetes, through the API server's HTTP API.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.providers.application import Facts, Intended, Log, Permission, Report
from tabsync.providers.kubeconfig import Access, access
from tabsync.providers.kubernetes_pods import why_not_ready, written

_LOOK = 1.0  # seconds between two looks
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_PATCH = "application/strategic-merge-patch+json"
"""https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/"""


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """A Deployment. namespace, container: "": the usual one; variable: that holds its connection string.

    key: of the value within a secret.
    """

    name: str
    deployment: str
    namespace: str = ""
    container: str = ""
    variable: str = "DATABASE_URL"
    key: str = ""
    kubeconfig: Path | None = None
    context: str = ""
    timeout: float = 600.0
    _known: dict[str, Access] = field(default_factory=dict, repr=False, compare=False)

    @property
    def place(self) -> str:
        """What it is, in words."""
        return f"deployment {self.deployment}{f' in namespace {self.namespace}' if self.namespace else ''}"

    @property
    def switch_takes(self) -> Literal["connection", "secret"]:
        """The name of a Secret: what is in it stays in the cluster."""
        return "secret"

    def restart_plan(self) -> Intended:
        """The change to the pods' template, as `kubectl rollout restart` makes it."""
        found = self._deployment()
        if found["spec"].get("paused"):
            raise Refused(
                f"{self.place} is paused: a change of it restarts nothing",
                f"to go on: kubectl rollout resume deployment/{self.deployment} --namespace {self._space}",
            )
        replicas = found["spec"].get("replicas", 1)
        notes = (f"{self.deployment} has no replica: nothing will be started",) if not replicas else ()
        preview = f"PATCH {self._path}  {_RESTARTED}\n{self._by_hand('restart')}"
        return Intended(
            self._facts(found), preview, f"none needed, or: {self._by_hand('undo')}", notes, self._target(found)
        )

    def restart(self, facts: Facts) -> Facts:
        """Change the template, so that each pod is replaced; one after the other, as the Deployment says."""
        at = now().isoformat(timespec="seconds")
        return self._patch(facts, {"metadata": {"annotations": {_RESTARTED: at}}})

    def wait(self, facts: Facts, done: Facts, report: Report) -> Facts:
        """Wait until each replica is new and available, as `kubectl rollout status` does."""
        until = time.monotonic() + self.timeout
        while True:
            found = self._deployment()
            self._same(found, facts)
            missing, failed = _missing(found, done["generation"])
            wanted = found["spec"].get("replicas", 1)
            if not missing:
                return {"told": f"{wanted} replica{'s' if wanted != 1 else ''} of {self.deployment} new and available"}
            report(found.get("status", {}).get("updatedReplicas", 0), wanted, "replicas")
            if failed or time.monotonic() > until:
                waited = "the cluster gave up" if failed else f"after {self.timeout:g} s"
                fact = f"{self.place} is not ready, {waited}: {missing}{self._why(found)}"
                raise FailedPartway(fact, f"tabsync app logs {self.name}; to take it back: {self._by_hand('undo')}")
            time.sleep(_LOOK)

    def logs(self, lines: int) -> Log:
        """The last lines of each pod; of one that does not start, those of its attempt before."""
        return written(self._access.api, self._space, self._deployment(), self.container, lines)

    def switch_plan(self, to: str) -> Intended:
        """The reference to another Secret; kept secrets are never read."""
        found = self._deployment()
        container = self._container(found)
        before = _reference(container, self.variable)
        key = self.key or before.get("key") or self.variable
        facts = self._facts(found) | {"container": container["name"], "secret": to, "key": key}
        change = f"{self.variable} of container {container['name']}: Secret {to}, key {key}"
        said = f"before: Secret {before['name']}, key {before['key']}" if before else "before: not from a Secret"
        preview = f"PATCH {self._path}\n{change} ({said})"
        notes = ("a Secret that does not exist shows when its pods don't start: the ones of now go on until then",)
        return Intended(facts, preview, self._by_hand("undo"), notes, self._target(found))

    def switch(self, facts: Facts, _connection: str) -> Facts:
        """Change the reference; the pods are replaced by that."""
        reference = {"name": facts["secret"], "key": facts["key"]}
        source = {"secretKeyRef": reference, "configMapKeyRef": None, "fieldRef": None, "resourceFieldRef": None}
        variable = {"name": self.variable, "value": None, "valueFrom": source}
        at = now().isoformat(timespec="seconds")  # also where the reference is the same: the value may have changed
        template = {
            "metadata": {"annotations": {_RESTARTED: at}},
            "spec": {"containers": [{"name": facts["container"], "env": [variable]}]},
        }
        return self._patch(facts, template)

    def permissions(self) -> list[Permission]:
        """What the API server says of this account (SelfSubjectAccessReview)."""
        return [
            self._may("app restart, app switch-database", "get", "apps", "deployments", self.deployment),
            self._may("app restart, app switch-database", "patch", "apps", "deployments", self.deployment),
            self._may("app logs", "list", "", "pods", ""),
            self._may("app logs", "get", "", "pods/log", ""),
        ]

    def _may(self, use: str, verb: str, group: str, resource: str, name: str) -> Permission:
        told = f"{verb} {resource}{f'.{group}' if group else ''} in namespace {self._space}"
        only = f" --resource-name={name}" if name else ""
        role = f"tabsync-{verb}-{resource.replace('/', '-')}"
        grant = (
            f"kubectl create role {role} --namespace {self._space} --verb={verb} --resource="
            f"{resource if not group else f'{resource}.{group}'}{only}; then: kubectl create rolebinding {role}"
            f" --namespace {self._space} --role={role} --user=USER"
        )
        kind, _, part = resource.partition("/")
        attributes = {"namespace": self._space, "verb": verb, "group": group, "resource": kind, "name": name}
        attributes |= {"subresource": part} if part else {}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        try:
            status = self._access.api.send("POST", path, body, needs="create selfsubjectaccessreviews").get("status")
        except NotAllowed as error:
            return Permission(told, use, None, error.fact)
        allowed = status.get("allowed") if isinstance(status, dict) else None
        return Permission(told, use, allowed if isinstance(allowed, bool) else None, "", "" if allowed else grant)

    def _patch(self, facts: Facts, template: Mapping[str, Any]) -> Facts:
        before = self._deployment()
        self._same(before, facts)
        needs = f"patch deployments.apps in namespace {self._space}"
        body = {"spec": {"template": template}}
        changed = self._access.api.send("PATCH", self._path, body, needs=needs, kind=_PATCH)
        generation = changed.get("metadata", {}).get("generation")
        if not isinstance(generation, int) or generation <= before["metadata"]["generation"]:
            raise FailedPartway(
                f"{self.place} was not changed: the cluster took the request and did nothing", "try again"
            )
        return {"generation": generation}

    def _why(self, found: Facts) -> str:
        try:
            return why_not_ready(self._access.api, self._space, found)
        except TabsyncError:
            return ""  # who may not list pods can't be told more

    def _deployment(self) -> Facts:
        needs = f"get deployments.apps in namespace {self._space}"
        found = self._access.api.get(self._path, needs=needs)
        try:
            _ = (
                found["metadata"]["uid"],
                found["metadata"]["generation"] + 1,
                found["spec"]["template"]["spec"]["containers"],
            )
        except (KeyError, TypeError):
            raise self._access.api.unexpected("it is no Deployment") from None
        return found

    def _same(self, found: Facts, facts: Facts) -> None:
        if found["metadata"]["uid"] != facts["uid"]:
            raise Refused(f"{self.place} is not the one of the plan: it was created again since", "make a new plan")

    def _container(self, found: Facts) -> Facts:
        containers: list[Facts] = found["spec"]["template"]["spec"]["containers"]
        if not self.container:
            return containers[0]
        named = [one for one in containers if one.get("name") == self.container]
        if not named:
            names = ", ".join(str(one.get("name")) for one in containers)
            raise BadUsage(f"{self.place} has no container {self.container}", f"it has: {names}")
        return named[0]

    @property
    def _access(self) -> Access:
        if "access" not in self._known:
            self._known["access"] = access(self.kubeconfig, self.context)
        return self._known["access"]

    @property
    def _space(self) -> str:
        return self.namespace or self._access.namespace

    @property
    def _path(self) -> str:
        return f"/apis/apps/v1/namespaces/{quote(self._space, safe='')}/deployments/{quote(self.deployment, safe='')}"

    def _by_hand(self, what: str) -> str:
        return f"kubectl rollout {what} deployment/{self.deployment} --namespace {self._space}"

    def _facts(self, found: Facts) -> Facts:
        return {"uid": found["metadata"]["uid"]}

    def _target(self, found: Facts) -> Facts:
        return {"deployment": self.deployment, "namespace": self._space, "uid": found["metadata"]["uid"]}


def _missing(found: Facts, generation: int) -> tuple[str, bool]:
    """What a rollout still lacks, "" when it is complete; and whether the cluster has given it up.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
    """
    status = found.get("status") or {}
    wanted = found["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < generation:
        return "the cluster has not taken the change up yet", False
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available = status.get("availableReplicas", 0)
    for one in status.get("conditions") or ():
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return f"{updated} of {wanted} replicas are new, {available} available", True
    if updated < wanted:
        return f"{updated} of {wanted} replicas are new", False
    if total > updated:
        return f"{total - updated} of the replicas before have not ended", False
    if available < updated:
        return f"{available} of {updated} new replicas are available", False
    return "", False


def _reference(container: Facts, variable: str) -> dict[str, str]:
    """The Secret that a variable comes from, {} when it comes from elsewhere."""
    for one in container.get("env") or ():
        if one.get("name") == variable:
            found = (one.get("valueFrom") or {}).get("secretKeyRef") or {}
            return {"name": str(found["name"]), "key": str(found["key"])} if found else {}
    return {}
