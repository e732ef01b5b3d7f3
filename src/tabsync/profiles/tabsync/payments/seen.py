"""What was read of the payments. Names of gateways and methods are ours: what else stands there is not shown. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from tabsync.kernel.step import Facts
from tabsync.profiles.tabsync.payments.metadata import Said

METHODS = ("CARD", "PIX", "CASH")
STATUSES = ("PENDING", "PAID", "FAILED", "REFUNDED")
GATEWAYS = ("stripe", "mercadopago")
OTHER = "(another)"


@dataclass(frozen=True, slots=True)
class Count:
    """Payments of one kind in one time. gateway: "" of those that need none; young: PENDING may still end by itself."""

    gateway: str
    method: str
    status: str
    young: bool
    payments: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """A payment that failed. restaurant: as it is shown, "" where that is unknown."""

    id: str
    at: datetime
    gateway: str
    method: str
    share: str
    said: Said | None
    restaurant: str = ""


@dataclass(slots=True)
class Seen:
    """What was read. now, days: None where that is unknown; why: what is unknown, in words; at: by that clock;
    ahead: seconds that it is ahead of this machine's; zone: of the restaurants, UTC where that is unknown.
    """

    at: datetime
    restaurant: str = ""
    now: list[Count] | None = None
    days: list[list[Count] | None] = field(default_factory=list)
    failed: list[Failed] | None = None
    why: list[str] = field(default_factory=list)
    ahead: float = 0.0
    zone: tzinfo = UTC
    table: Facts = field(default_factory=dict)


def known_gateway(value: object) -> str:
    """A gateway by its name; "" for none, and for what is no gateway of ours only that."""
    return "" if value is None else str(value) if str(value) in GATEWAYS else OTHER


def known_method(value: object) -> str:
    """The same of a method."""
    return str(value) if str(value) in METHODS else OTHER
