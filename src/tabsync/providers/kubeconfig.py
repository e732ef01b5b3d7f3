"""Where a Kubernetes API server is and how one logs in: a kubeconfig, or the service account of the pod we run in.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ and
https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabsync.kernel.errors import BadUsage, NotAllowed
from tabsync.providers.rest import Api, as_token, checked_url
from tabsync.system.commands import run_command

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EXEC_TIMEOUT = 30.0  # seconds
_HINT = "see it with: kubectl config view --minify"


@dataclass(frozen=True, slots=True)
class Access:
    """An API server. namespace: where one is without naming another; who: the account, in words."""

    api: Api = field(repr=False)
    namespace: str
    who: str


def access(kubeconfig: Path | None, context: str) -> Access:
    """The API server of a kubeconfig, else of KUBECONFIG or ~/.kube/config, else of the pod that this runs in.

    context: which one of the kubeconfig; "": its current one. Raises BadUsage for what can't be read.
    """
    named = kubeconfig or _usual()
    if named is not None:
        return _from_file(named, context)
    if os.environ.get("KUBERNETES_SERVICE_HOST") and (ACCOUNT / "token").is_file():
        return _from_pod()
    raise BadUsage(
        "there is no kubeconfig, and this is not a pod with a service account",
        'name one in [app.NAME] of tabsync.toml: kubeconfig = "FILE"; or set KUBECONFIG',
    )


def _usual() -> Path | None:
    if variable := os.environ.get("KUBECONFIG", ""):
        return Path(variable.split(os.pathsep)[0])
    home = Path(os.environ.get("HOME", "/")) / ".kube" / "config"
    return home if home.is_file() else None


def _from_pod() -> Access:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    namespace = (ACCOUNT / "namespace").read_text().strip()
    token = ACCOUNT / "token"
    # The kubelet renews the token's file, so it is read for each request.
    api = Api("Kubernetes", url, lambda: _token_in(token), tls)
    return Access(api, namespace, "the pod's service account")


def _from_file(path: Path, wanted: str) -> Access:
    content = _read(path)
    name = wanted or str(content.get("current-context") or "")
    context = _part(path, content, "contexts", "context", name)
    cluster = _part(path, content, "clusters", "cluster", str(context.get("cluster", "")))
    user = _part(path, content, "users", "user", str(context.get("user", "")))
    if cluster.get("insecure-skip-tls-verify"):
        raise BadUsage(
            f"{path} turns off the check of the server's certificate: the token would go to anybody",
            "put the cluster's certificate-authority-data into it instead of insecure-skip-tls-verify",
        )
    url = checked_url(f"the server of {path}", str(cluster.get("server", "")))
    token, tls = _login(path, cluster, user)
    who = f"user {context.get('user')} of {path.name}"
    return Access(Api("Kubernetes", url, token, tls), str(context.get("namespace") or "default"), who)


def _read(path: Path) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadUsage(f"can't read {path}: {error.strerror}", "check kubeconfig in [app.NAME]") from None
    except (yaml.YAMLError, UnicodeDecodeError):  # its message holds the line, which may be the token
        raise BadUsage(f"{path} is not YAML", _HINT) from None
    if not isinstance(content, dict):
        raise BadUsage(f"{path} is not a kubeconfig", _HINT)
    return content


def _part(path: Path, content: Mapping[str, Any], many: str, one: str, name: str) -> dict[str, Any]:
    listed = content.get(many)
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(one), dict):
            return dict(entry[one])
    raise BadUsage(f"{path} has no {one} {name!r}", _HINT)


def _login(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> tuple[Any, ssl.SSLContext]:
    """What gives the token, and the certificates of both sides."""
    authority = _bytes(path, cluster, "certificate-authority")
    try:
        tls = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    except (ssl.SSLError, UnicodeDecodeError):
        raise BadUsage(f"the certificate-authority of {path} is no certificate", _HINT) from None
    certificate, key = _bytes(path, user, "client-certificate"), _bytes(path, user, "client-key")
    if certificate and key:
        _load(path, tls, certificate, key)
    if user.get("token"):
        value = str(user["token"])
        return (lambda: value), tls
    if user.get("tokenFile"):
        file = path.parent / str(user["tokenFile"])
        return (lambda: _token_in(file)), tls
    if isinstance(user.get("exec"), dict):
        return _Exec(user["exec"], path), tls
    if certificate and key:
        return (lambda: ""), tls
    raise BadUsage(f"{path} has no token, certificate or program to log in with", _HINT)


def _bytes(path: Path, entry: Mapping[str, Any], key: str) -> bytes:
    """What stands in the file itself (KEY-data), or in another one that it names."""
    if data := entry.get(f"{key}-data"):
        try:
            return base64.b64decode(str(data), validate=True)
        except binascii.Error:
            raise BadUsage(f"the {key}-data of {path} is not base64", _HINT) from None
    if not entry.get(key):
        return b""
    file = path.parent / str(entry[key])
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadUsage(f"can't read {file}: {error.strerror}", _HINT) from None


def _load(path: Path, tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The library takes files only; this one is ours alone, and gone at once.
    with tempfile.NamedTemporaryFile(prefix="tabsync-") as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        try:
            tls.load_cert_chain(file.name)
        except ssl.SSLError:
            raise BadUsage(f"the client certificate of {path} and its key don't fit", _HINT) from None


def _token_in(file: Path) -> str:
    try:
        return as_token(file.read_text(encoding="ascii"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise NotAllowed(f"can't read the token in {file}: {why}", "check its permissions") from None


class _Exec:
    """A program that logs in, as the clouds have it: https://kubernetes.io/docs/reference/access-authn-authz/authentication/"""

    def __init__(self, entry: Mapping[str, Any], path: Path) -> None:
        listed = entry.get("env")
        self._env = {str(one["name"]): str(one["value"]) for one in listed} if isinstance(listed, list) else {}
        program = str(entry.get("command", ""))
        local = path.parent / program
        self._argv = [str(local) if "/" in program and local.is_file() else program, *map(str, entry.get("args") or ())]
        version = str(entry.get("apiVersion", ""))
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        self._env["KUBERNETES_EXEC_INFO"] = json.dumps(info)

    def __call__(self) -> str:
        ended = run_command(self._argv, env=self._env, timeout=_EXEC_TIMEOUT)
        program = Path(self._argv[0]).name
        if ended.code:
            raise NotAllowed(
                f"{program}, which logs in to Kubernetes, ended with exit code {ended.code}", "log in again"
            )
        try:
            return as_token(str(json.loads(ended.stdout)["status"]["token"]), f"what {program} printed")
        except (ValueError, KeyError, TypeError):
            raise NotAllowed(f"there is no token in what {program} printed", "log in again") from None
