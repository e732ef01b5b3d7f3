"""The address of a store: a directory, or az://container/prefix, s3://bucket/prefix, gs://bucket/prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tabsync.kernel.errors import BadUsage


@dataclass(frozen=True, slots=True)
class Scheme:
    """A kind of store.

    container: what it calls the place named first; names: how a manual names such stores, in lower case; company: a
    name that such a store has too, but that also something else may have ("Azure" runs databases); endpoints: the
    environment variables that name another endpoint, the first that is set; allow_http: the one that allows backups to
    travel unencrypted; log_in: what to set to be let in.
    """

    container: str
    names: tuple[str, ...]
    company: str = ""
    endpoints: tuple[str, ...] = ()
    allow_http: str = ""
    log_in: str = ""

    def is_named(self, name: str) -> bool:
        """Whether a manual's name for a store is one of this kind, and of nothing else."""
        return any(word in name.lower() for word in self.names)

    def may_be_named(self, name: str) -> bool:
        """Whether a manual's name for a store may speak of this kind."""
        return self.is_named(name) or bool(self.company and self.company in name.lower())


SCHEMES: Mapping[str, Scheme] = {
    "az": Scheme(
        "container",
        ("azure blob",),
        "azure",
        ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "AZURE_ALLOW_HTTP",
        "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or a managed identity",
    ),
    "s3": Scheme(
        "bucket",
        ("s3",),
        "",
        ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "AWS_ALLOW_HTTP",
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, or a role of this machine",
    ),
    "gs": Scheme(
        "bucket",
        ("google cloud storage", "gcs"),
        "google",
        ("GOOGLE_BASE_URL",),
        "GOOGLE_ALLOW_HTTP",
        "GOOGLE_APPLICATION_CREDENTIALS, or the service account of this machine",
    ),
}
"""The object stores that we can store in, by the first word of their addresses."""

LOCAL = Scheme("directory", ("local",))
"""A directory of this machine; its addresses have no scheme, or file://."""


def is_own(name: str) -> bool:
    """Whether a manual's name for a store speaks of a kind that we write to ourselves."""
    return any(one.is_named(name) for one in (LOCAL, *SCHEMES.values()))


def is_of_kind(url: str, name: str) -> bool:
    """Whether a store may be what a manual's name for it speaks of. url: as the store is named in reports."""
    return SCHEMES.get(url.partition("://")[0], LOCAL).may_be_named(name)


@dataclass(frozen=True, slots=True)
class Address:
    """A place in an object store. prefix: below it, without slashes at its ends; may be empty."""

    scheme: str
    container: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.container}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def kind(self) -> Scheme:
        """What kind of store it is in."""
        return SCHEMES[self.scheme]


def parse_address(text: str) -> Address | Path:
    """The address that a text names; what has no scheme, or file://, is a path.

    Raises BadUsage for an unknown scheme, a missing container, and for anything a credential could hide in: its
    complaint repeats nothing but the scheme.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    known = "a store is a directory, az://container/prefix, s3://bucket/prefix or gs://bucket/prefix"
    if scheme == "file":
        return Path(unquote(rest))
    if scheme not in SCHEMES:
        raise BadUsage(f"{scheme}:// is not a known kind of store", known)
    container = SCHEMES[scheme].container
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadUsage(f"this {scheme}:// address can't be read", known) from None
    if "@" in rest or parts.query or parts.fragment:
        raise BadUsage(
            f"a {scheme}:// address is only a {container} and a prefix",
            "put credentials into the environment: AZURE_*, AWS_* or GOOGLE_*",
        )
    prefix = parts.path.strip("/")
    odd_prefix = prefix and (not prefix.isprintable() or {"", ".", ".."} & set(prefix.split("/")))
    if not parts.netloc or odd_prefix:
        raise BadUsage(f"this {scheme}:// address has no {container}, or a prefix that is not valid", known)
    return Address(scheme, parts.netloc, prefix)
