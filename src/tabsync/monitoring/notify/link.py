"""A link by which whoever was told acknowledges: signed, for one alert and one contact, good for some days.

It changes nothing by being opened, since scanners of mails open every link: the page that it shows has a button.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tabsync.kernel.clock import parse_iso

GOOD_FOR = timedelta(days=7)
_KEY = "acknowledge.key"
_BYTES = 32


def link_for(home: Path, public_url: str, episode: str, contact: str, until: datetime) -> str:
    """The link for a contact, "" where nobody could reach the console by it. until: how long it is good."""
    if not public_url:
        return ""
    return f"{public_url.rstrip('/')}/acknowledge/{token_for(key_of(home), episode, contact, until)}"


def token_for(key: bytes, episode: str, contact: str, until: datetime) -> str:
    """What the link ends in."""
    said = "\n".join((episode, contact, until.isoformat())).encode()
    return urlsafe_b64encode(_signature(key, said) + said).decode().rstrip("=")


class TooOld(ValueError):
    """A link of ours that is not good any more: whoever opens it has guessed nothing."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is for. made_at: when it was sent in a message."""

    episode: str
    contact: str
    made_at: datetime


def read_token(key: bytes, token: str, now: datetime) -> Link:
    """The alert and the contact of a link. Raises ValueError, in words, when it is not ours, TooOld when it is."""
    try:
        plain = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, said = plain[:_BYTES], plain[_BYTES:]
        if not hmac.compare_digest(signature, _signature(key, said)):
            raise ValueError
        episode, contact, until = said.decode().split("\n")
        end = parse_iso(until)
    except ValueError:
        raise ValueError("this link is not valid") from None
    if now > end:
        raise TooOld("this link is not good any more")
    return Link(episode, contact, end - GOOD_FOR)


def known_key(home: Path) -> bytes:
    """The key of a home's links; b"" while no link was ever made, or when it can't be read."""
    try:
        found = (home / _KEY).read_bytes()
    except OSError:
        return b""
    return found if len(found) == _BYTES else b""


def key_of(home: Path) -> bytes:
    """The key of a home's links, made when it is first needed. Raises OSError."""
    path = home / _KEY
    if found := known_key(home):
        return found
    home.mkdir(parents=True, exist_ok=True)
    pending = home / f".{_KEY}.{os.getpid()}"
    file = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(secrets.token_bytes(_BYTES))
    try:
        os.link(pending, path)  # another process may have been faster: then its key counts
    except FileExistsError:
        if len(path.read_bytes()) != _BYTES:
            pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)
    return path.read_bytes()


def _signature(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, b"acknowledge\n" + said, hashlib.sha256).digest()
