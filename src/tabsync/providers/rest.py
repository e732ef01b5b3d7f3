"""An HTTP API with a token, as those of Kubernetes and Azure: its answers, and its refusals in words."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tabsync.kernel.errors import BadUsage, CannotConnect, FailedPartway, NotAllowed, Refused, TabsyncError
from tabsync.providers.application import printable, without_secrets
from tabsync.providers.http import ask

if TYPE_CHECKING:
    import httpx

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LONGEST_TOLD = 400
_ATTEMPTS = 4
CHECK = "to see what is missing: tabsync integration check"


@dataclass(frozen=True, slots=True)
class Api:
    """An API. name: of who answers; url: without a slash at its end; token: gives what goes into the header, or "".

    tls: where the server's certificate is not one of the public ones, or it wants one of ours.
    """

    name: str
    url: str
    token: Callable[[], str] = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def get(self, path: str, *, needs: str) -> dict[str, Any]:
        """What a path answers, which is an object. needs: the permission, for who lacks it."""
        return self._object(self.ask("GET", path, needs=needs))

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, needs: str, kind: str = "application/json"
    ) -> dict[str, Any]:
        """Ask for a change, once. Raises FailedPartway when it is unknown whether it was accepted."""
        return self._object(self.ask(method, path, body, needs=needs, kind=kind))

    def text(self, path: str, *, needs: str) -> str:
        """What a path answers, as text."""
        return self.ask("GET", path, needs=needs, accept="*/*").text

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        needs: str,
        kind: str = "application/json",
        accept: str = "application/json",
    ) -> httpx.Response:
        """An answer that says yes. Raises NotAllowed with the missing permission, and TabsyncError for the rest."""
        token = self.token()
        headers = {"accept": accept, **({"authorization": f"Bearer {token}"} if token else {})}
        if body is not None:
            headers["content-type"] = kind
        url = path if path.startswith(("https://", "http://")) else f"{self.url}{path}"
        answer = ask(method, url, body, headers=headers, attempts=_ATTEMPTS, unknown=self._unknown, tls=self.tls)
        if not answer.is_success:
            raise self._complaint(method, answer, needs, token)
        return answer

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        if not answer.content:
            return {}
        try:
            content = answer.json()
        except ValueError:
            raise self.unexpected("it is not JSON") from None
        if not isinstance(content, dict):
            raise self.unexpected("it is not an object")
        return content

    def unexpected(self, why: str) -> CannotConnect:
        """The error for an answer that is not as documented."""
        return CannotConnect(f"the answer of {self.name} has an unknown format: {why}", f"check the address {self.url}")

    def _unknown(self, why: str) -> FailedPartway:
        fact = f"it is unknown whether {self.name} accepted the request: {why}"
        return FailedPartway(fact, "look there first; repeat the command only if nothing was changed")

    def _complaint(self, method: str, answer: httpx.Response, needs: str, token: str) -> TabsyncError:
        said = message_of(answer, token)
        told = f": {said}" if said else ""
        status = answer.status_code
        if 300 <= status < 400:
            fact = f"{self.name} answered with a redirect ({status}), which is not followed: the token would go there"
            return CannotConnect(fact, f"check the address {self.url}")
        if status == 401:
            return NotAllowed(f"{self.name} does not accept the credentials{told}", "log in again, or renew the token")
        if status == 403:
            return NotAllowed(f"{self.name} did not allow it: the account lacks {needs}{told}", CHECK)
        if status == 404:
            return BadUsage(f"{self.name} has no such thing{told}", "check the table [app.NAME] in tabsync.toml")
        if status == 429 or (status >= 500 and method == "GET"):
            return CannotConnect(f"{self.name} answered {status}, {_ATTEMPTS} times{told}", "try again later")
        if status >= 500:
            return self._unknown(f"it answered {status}{told}")
        return Refused(f"{self.name} rejected the request: {status}{told}", CHECK)


def message_of(answer: httpx.Response, token: str) -> str:
    """What an error says, if it says it as documented (error.message, or message): one short line without secrets."""
    try:
        content = answer.json()
        inner = content.get("error")
        message = inner.get("message") if isinstance(inner, dict) else content.get("message")
    except (ValueError, AttributeError):
        return ""
    line = " ".join(printable(message).split()) if isinstance(message, str) else ""
    return without_secrets(line, (token,))[:_LONGEST_TOLD]


def checked_url(what: str, url: str) -> str:
    """An address that a token may go to. what: the setting that holds it. Raises BadUsage for what is not https.

    http is taken on loopback only.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url.rstrip("/")
    raise BadUsage(f"{what} is neither https nor loopback", "use https: a token would be sent unencrypted")


def as_token(text: str, where: str) -> str:
    """A token fit for a header. Raises NotAllowed for what can't be one."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise NotAllowed(f"there is no token in {where}", "log in again")
    return token
