"""Only one prune at a time works on a store, from whichever machine: a marker with an expiry, created once.

Taking it: look whether anyone's is alive; create the next number, which only one can; look again, and stand back if
somebody else's is alive. Of two that are at it together, each creates its own before it looks again, so at least one
sees the other. Nothing is ever replaced, so a store needs no more than "create unless it is there".
https://en.wikipedia.org/wiki/Dekker%27s_algorithm
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from tabsync.kernel import clock
from tabsync.kernel.clock import iso, parse_iso
from tabsync.kernel.errors import FailedPartway, Refused
from tabsync.kernel.step import Facts
from tabsync.stores.store import Store

LASTS = timedelta(minutes=10)
"""A lease that isn't renewed for so long is stale: its holder died."""

_KIND = "leases"
_NAME = "prune-{:08d}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease. token: whose it is; holder: host and process, for people."""

    number: int
    token: str
    holder: str
    expires_at: datetime

    def to_json(self) -> Facts:
        """The lease as JSON."""
        known = {"number": self.number, "token": self.token, "holder": self.holder}
        return known | {"expires_at": iso(self.expires_at)}


def lease_from_json(data: Facts) -> Lease:
    """The inverse of Lease.to_json."""
    return Lease(data["number"], data["token"], data["holder"], parse_iso(data["expires_at"]))


def take_lease(store: Store, token: str = "") -> Lease:
    """Take the store's lease; a stale one is taken over. Raises Refused while another prune has it.

    token: to renew the lease that has this token, whose holder we are.
    """
    token = token or secrets.token_hex(8)
    _refuse_others(store, token)
    number = max((one.number for one in _leases(store)), default=0) + 1
    mine = Lease(number, token, f"{socket.gethostname()}, process {os.getpid()}", clock.now() + LASTS)
    if not store.put_marker(_KIND, _NAME.format(number), json.dumps(mine.to_json()).encode()):
        raise Refused("another prune has just started on this store", "wait until it has ended: tabsync run list")
    try:
        _refuse_others(store, token)
    except Refused:
        store.delete_marker(_KIND, _NAME.format(number))
        raise
    for one in _leases(store):
        if one.number < number:
            store.delete_marker(_KIND, _NAME.format(one.number))
    return mine


def keep_lease(store: Store, token: str) -> None:
    """Renew our lease when half of its time is over. Raises FailedPartway when it was lost meanwhile."""
    left = max((one.expires_at for one in _leases(store) if one.token == token), default=clock.now()) - clock.now()
    if left <= timedelta(0):
        raise FailedPartway(
            "this prune was stopped for too long and lost its lease on the store", "run it again: tabsync backup prune"
        )
    if left <= LASTS / 2:
        take_lease(store, token)


def release_lease(store: Store, token: str) -> None:
    """Give the lease back."""
    for one in _leases(store):
        if one.token == token:
            store.delete_marker(_KIND, _NAME.format(one.number))


def refuse_while_pruned(store: Store) -> None:
    """Raise Refused while any prune is at work on the store."""
    _refuse_others(store, "")


def _refuse_others(store: Store, token: str) -> None:
    for one in _leases(store):
        if one.token != token and one.expires_at > clock.now():
            raise Refused(
                f"another prune runs on this store ({one.holder}); its lease expires at {one.expires_at:%H:%M:%S} UTC",
                "wait until it has ended; if its process died, the lease expires by itself",
            )


def _leases(store: Store) -> list[Lease]:
    found = []
    for name, content in store.markers(_KIND).items():
        try:
            found.append(lease_from_json(json.loads(content)))
        except (ValueError, KeyError, TypeError):
            raise Refused(f"the lease {name} of this store can't be read", f"delete {_KIND}/{name}.json") from None
    return found
