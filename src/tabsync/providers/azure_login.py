"""A token for Azure's management API: from the environment, the identity of the machine, or whoever logged in with az.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tabsync.kernel.errors import CannotConnect, NotAllowed, TabsyncError
from tabsync.providers.http import ask
from tabsync.providers.rest import as_token, checked_url
from tabsync.system.commands import run_command

LOGIN = "https://login.microsoftonline.com"
_MACHINE = "http://169.254.169.254/metadata/identity/oauth2/token"
"""The identity of a virtual machine: an address that only the machine itself reaches."""

_RENEW = 120.0  # seconds before its end, in which a token isn't begun with any more
_AZ_TIMEOUT = 60.0
_GRANT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PASSED = ("AZURE_CONFIG_DIR", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE")


@dataclass(slots=True)
class Login:
    """Whoever asks Azure. resource: the API; login_url: where tokens are given, for sovereign clouds."""

    resource: str
    login_url: str = LOGIN
    subscription: str = ""
    who: str = ""
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    def token(self) -> str:
        """A token that is still valid. Raises NotAllowed with what was tried."""
        if not self._token or time.monotonic() > self._until - _RENEW:
            found, seconds = self._new()
            self._token, self._until = as_token(found, "Azure's answer"), time.monotonic() + seconds
        return self._token

    def _new(self) -> tuple[str, float]:
        proof = os.environ.get("AZURE_CLIENT_SECRET") or os.environ.get("AZURE_FEDERATED_TOKEN_FILE")
        if proof and os.environ.get("AZURE_CLIENT_ID") and os.environ.get("AZURE_TENANT_ID"):
            return self._as_application()
        if os.environ.get("IDENTITY_ENDPOINT") and os.environ.get("IDENTITY_HEADER"):
            return self._as_identity()
        if shutil.which("az"):
            return self._as_person()
        try:
            return self._as_machine()
        except CannotConnect:
            raise NotAllowed(
                "there is no login for Azure: no AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, no managed "
                "identity, and no program az",
                "set these variables, or install az and run: az login",
            ) from None

    def _as_application(self) -> tuple[str, float]:
        """With a secret or, from a pod, with a token that is federated."""
        client, tenant = os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_TENANT_ID"]
        form = {"grant_type": "client_credentials", "client_id": client, "scope": f"{self.resource}/.default"}
        if secret := os.environ.get("AZURE_CLIENT_SECRET"):
            form["client_secret"] = secret
        else:
            form |= {"client_assertion_type": _GRANT, "client_assertion": _federated()}
        self.who = f"application {client}"
        base = checked_url("login_url", os.environ.get("AZURE_AUTHORITY_HOST") or self.login_url)
        return self._answer("POST", f"{base}/{quote(tenant, safe='')}/oauth2/v2.0/token", {}, form)

    def _as_identity(self) -> tuple[str, float]:
        """Within Container Apps and App Service."""
        self.who = "the managed identity of this app"
        asked = {"resource": self.resource, "api-version": "2019-08-01"} | _which()
        headers = {"x-identity-header": os.environ["IDENTITY_HEADER"]}
        return self._answer("GET", f"{os.environ['IDENTITY_ENDPOINT']}?{urlencode(asked)}", headers, None, attempts=2)

    def _as_machine(self) -> tuple[str, float]:
        self.who = "the managed identity of this machine"
        asked = {"resource": self.resource, "api-version": "2018-02-01"} | _which()
        return self._answer("GET", f"{_MACHINE}?{urlencode(asked)}", {"metadata": "true"}, None, attempts=1)

    def _as_person(self) -> tuple[str, float]:
        """https://learn.microsoft.com/cli/azure/account#az-account-get-access-token"""
        argv = ["az", "account", "get-access-token", "--resource", self.resource, "--output", "json"]
        if self.subscription:
            argv += ["--subscription", self.subscription]
        env = {name: os.environ[name] for name in _PASSED if name in os.environ}
        ended = run_command(argv, env=env, timeout=_AZ_TIMEOUT)
        if ended.code:
            raise NotAllowed("az gives no token: nobody is logged in, or the login has ended", "run: az login")
        try:
            found = json.loads(ended.stdout)
            token, subscription = str(found["accessToken"]), str(found.get("subscription") or "")
        except (ValueError, KeyError, TypeError):
            raise NotAllowed("there is no token in what az printed", "run: az login") from None
        self.who = "whoever is logged in with az"
        self.subscription = self.subscription or subscription
        return token, _seconds(found.get("expires_on"), 300.0)

    def _answer(
        self, method: str, url: str, headers: dict[str, str], form: dict[str, str] | None, attempts: int = 3
    ) -> tuple[str, float]:
        """A token from an answer. What it says of an error is left out: it may repeat what was sent."""
        answer = ask(method, url, None, headers=headers, attempts=attempts, unknown=_unknown, form=form)
        if not answer.is_success:
            code = _code(answer)
            raise NotAllowed(
                f"Azure gives {self.who} no token: {answer.status_code}{f' ({code})' if code else ''}",
                "check AZURE_CLIENT_ID, AZURE_TENANT_ID and the secret, or the managed identity",
            )
        try:
            content = answer.json()
            return str(content["access_token"]), _seconds(content.get("expires_in"), 300.0, relative=True)
        except (ValueError, KeyError, TypeError):
            raise NotAllowed("there is no token in Azure's answer", "check login_url in [app.NAME]") from None


def _which() -> dict[str, str]:
    client = os.environ.get("AZURE_CLIENT_ID", "")
    return {"client_id": client} if client else {}


def _federated() -> str:
    file = Path(os.environ["AZURE_FEDERATED_TOKEN_FILE"])
    try:
        return as_token(file.read_text(encoding="ascii"), str(file))
    except (OSError, UnicodeDecodeError):
        raise NotAllowed(f"can't read the token in {file}", "check AZURE_FEDERATED_TOKEN_FILE") from None


def _seconds(value: Any, otherwise: float, *, relative: bool = False) -> float:
    """How long a token is valid."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return otherwise
    return found if relative else max(found - time.time(), 0.0) + _RENEW


def _code(answer: Any) -> str:
    """The kind of an error, one word of the standard: https://www.rfc-editor.org/rfc/rfc6749#section-5.2"""
    try:
        code = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) < 40 else ""


def _unknown(why: str) -> TabsyncError:
    return CannotConnect(f"no answer about a token: {why}", "check the network")
