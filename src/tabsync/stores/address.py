"""The address of a store: a directory, or az://container/prefix, s3://bucket/prefix, gs://bucket/prefix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tabsync.kernel.errors import BadUsage

SCHEMES = {"az": "container", "s3": "bucket", "gs": "bucket"}
"""What we can store in, and what each calls the place named first."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place in an object store. prefix: below it, without slashes at its ends; may be empty."""

    scheme: str
    container: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.container}" + (f"/{self.prefix}" if self.prefix else "")

    @property
    def container_word(self) -> str:
        """What this kind of store calls its containers."""
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
    try:
        parts = urlsplit(text)
    except ValueError:
        raise BadUsage(f"this {scheme}:// address can't be read", known) from None
    if "@" in rest or parts.query or parts.fragment:
        raise BadUsage(
            f"a {scheme}:// address is only a {SCHEMES[scheme]} and a prefix",
            "put credentials into the environment: AZURE_*, AWS_* or GOOGLE_*",
        )
    prefix = parts.path.strip("/")
    odd_prefix = prefix and (not prefix.isprintable() or {"", ".", ".."} & set(prefix.split("/")))
    if not parts.netloc or odd_prefix:
        raise BadUsage(f"this {scheme}:// address has no {SCHEMES[scheme]}, or a prefix that is not valid", known)
    return Address(scheme, parts.netloc, prefix)
