"""What the payments and the gateway tell of us: refused keys, refused requests, and the gateway's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from tabsync.kernel.clock import now
from tabsync.kernel.errors import TabsyncError
from tabsync.profiles.tabsync.payments.change import Change, changed, nothing, unknown
from tabsync.profiles.tabsync.payments.changed_database import clock
from tabsync.profiles.tabsync.payments.codes import Side, says_key, side_of
from tabsync.profiles.tabsync.payments.gateways import stripe_url
from tabsync.profiles.tabsync.payments.look import Asked, look
from tabsync.profiles.tabsync.payments.safe import without_digits
from tabsync.profiles.tabsync.payments.seen import Failed, Seen
from tabsync.profiles.tabsync.payments.status_page import read_status

if TYPE_CHECKING:
    from tabsync.workspace import Workspace

_KINDS = ("keys", "requests")


def by_payments(workspace: Workspace, span: timedelta) -> Iterator[Change]:
    """What the gateways' codes say of our key and of what we ask. When a key expires, only the gateway knows."""
    try:
        seen = look(workspace, Asked(span, days=0))
    except TabsyncError as error:
        yield from (unknown(kind, without_digits(error.fact)) for kind in _KINDS)
        return
    if why := _blind(seen):
        yield from (unknown(kind, why) for kind in _KINDS)
        return
    ours = [one for one in seen.failed or () if one.said and side_of(one.said.code) is Side.OURS]
    keys = [one for one in ours if one.said and says_key(one.said.code)]
    yield _change("keys", keys, "no payment failed for its key; when it expires, only the gateway knows")
    yield _change("requests", [one for one in ours if one not in keys], "no payment failed for what was asked")


def by_gateway(workspace: Workspace) -> Change:
    """The gateway's clock, by the Date of its status page: signatures of another time are refused.

    https://docs.stripe.com/webhooks#replay-attacks
    """
    before = now()
    try:
        answered = read_status(stripe_url(workspace), before).answered
    except TabsyncError as error:
        return unknown("clock of the gateway", error.fact)
    middle = before + (now() - before) / 2
    return clock("clock of the gateway", (answered - middle).total_seconds(), "stripe's clock")


def _blind(seen: Seen) -> str:
    """Why nothing can be said by the payments, "" when something can."""
    if seen.now is None or seen.failed is None:
        return seen.why[0] if seen.why else "the payments could not be read"
    if any(one.said is None for one in seen.failed):
        return seen.why[0] if seen.why else "the codes of the gateways could not be read"
    if not any(one.gateway for one in seen.now):
        return "no payment was tried through a gateway"
    return ""


def _change(what: str, found: Sequence[Failed], otherwise: str) -> Change:
    if not found:
        return nothing(what, otherwise)
    first = min(found, key=lambda one: one.at)
    codes = dict.fromkeys(f"{one.gateway} {one.said.code}" for one in found if one.said)
    return changed(what, first.at, f"{len(found):,} payments failed since then: {', '.join([*codes][:3])}")
