"""The pods of a Deployment: what they wrote, and why they don't start.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from tabsync.kernel.errors import BadUsage
from tabsync.providers.application import Facts, Log, printable, without_secrets
from tabsync.providers.rest import Api

_MOST = 20  # pods whose log is read
_TOLD = 3  # pods that are named
_USUAL = "kubectl.kubernetes.io/default-container"


def written(api: Api, namespace: str, deployment: Facts, container: str, lines: int) -> Log:
    """The last lines of each pod, the newest pod first. container: "": the one that kubectl would take."""
    found = _pods(api, namespace, deployment)
    if not found:
        raise BadUsage(f"deployment {deployment['metadata'].get('name')} has no pod", "to start it: kubectl scale")
    shown = sorted(found, key=lambda one: str(one["metadata"].get("creationTimestamp")), reverse=True)[:_MOST]
    notes = (f"{len(found)} pods; these are the newest {_MOST}",) if len(found) > _MOST else ()
    each = [line for one in shown for line in _log(api, namespace, one, container, lines)]
    return Log(tuple(each), notes)


def why_not_ready(api: Api, namespace: str, deployment: Facts) -> str:
    """Which pods are not ready, and why, in a few words; "" when there is nothing to say."""
    told = [f"{one['metadata']['name']}: {why}" for one in _pods(api, namespace, deployment) if (why := _waits(one))]
    return f" ({'; '.join(told[:_TOLD])})" if told else ""


def _pods(api: Api, namespace: str, deployment: Facts) -> list[Facts]:
    selector = ",".join(_selector(deployment["spec"].get("selector") or {}))
    if not selector:
        raise api.unexpected("the Deployment has no selector")
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods?{urlencode({'labelSelector': selector})}"
    items = api.get(path, needs=f"list pods in namespace {namespace}").get("items")
    return [one for one in items if isinstance(one, dict) and one.get("metadata", {}).get("name")] if items else []


def _selector(found: Facts) -> Iterator[str]:
    """https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors"""
    for key, value in (found.get("matchLabels") or {}).items():
        yield f"{key}={value}"
    for one in found.get("matchExpressions") or ():
        key, how, values = one["key"], one["operator"], ",".join(one.get("values") or ())
        yield {"Exists": key, "DoesNotExist": f"!{key}"}.get(how) or f"{key} {how.lower()} ({values})"


def _log(api: Api, namespace: str, pod: Facts, container: str, lines: int) -> Iterator[tuple[str, str]]:
    name = pod["metadata"]["name"]
    which = container or (pod["metadata"].get("annotations") or {}).get(_USUAL) or pod["spec"]["containers"][0]["name"]
    status = next((one for one in _statuses(pod) if one.get("name") == which), {})
    waits = "waiting" in (status.get("state") or {})
    if waits and not status.get("restartCount"):
        yield name, f"(it has not started: {_waits(pod) or 'it waits'})"
        return
    asked = {"container": which, "tailLines": lines} | ({"previous": "true"} if waits else {})
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log?{urlencode(asked)}"
    text = api.text(path, needs=f"get pods/log in namespace {namespace}")
    for line in text.splitlines()[-lines:]:
        yield name, line


def _waits(pod: Facts) -> str:
    """Why a pod is not ready."""
    for one in _statuses(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            message = without_secrets(printable(str(waiting.get("message") or "")))[:120]
            return f"{waiting['reason']}{f', {message}' if message else ''}"
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"not scheduled: {condition.get('reason', 'unknown')}"
    ready = [one for one in _statuses(pod) if not one.get("ready")]
    return f"container {ready[0].get('name')} is not ready" if ready else ""


def _statuses(pod: Facts) -> list[dict[str, Any]]:
    return list((pod.get("status") or {}).get("containerStatuses") or ())
