"""What is read of a failed payment's metadata, and what of that may be shown. Pure.

A gateway's answer may hold a card, a name, an address or a key, anywhere: under any name, nested, in a message. So this
does not look for what is bad: it takes from known places (PATHS) what is, letter by letter, a documented word. All
else is only counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabsync.profiles.tabsync.payments.codes import MISSING, UNDOCUMENTED, is_code, is_status

_NESTED = ("error", "last_payment_error", "raw", "outcome", "response")
"""Where gateways, and those who store their answers, have the error, besides at the top."""

_CODES = ("decline_code", "status_detail", "code", "failure_code", "reason", "error_code", "error", "type", "name")
_NESTED_CODES = frozenset({"decline_code", "status_detail", "code", "reason", "error", "type"})

PATHS: tuple[tuple[str, ...], ...] = (
    *((*place, name) for name in _CODES for place in ((), *((one,) for one in _NESTED if name in _NESTED_CODES))),
    ("error", "last_payment_error", "decline_code"),
    ("error", "last_payment_error", "code"),
    ("cause", "0", "code"),
)
"""Where a code may stand, the most exact one first."""

STATUS_PATHS: tuple[tuple[str, ...], ...] = tuple(
    (*place, name)
    for name in ("http_status", "status_code", "statusCode", "status")
    for place in ((), ("error",), ("raw",))
)
BRAND_PATHS: tuple[tuple[str, ...], ...] = (
    ("brand",),
    ("card", "brand"),
    ("payment_method_details", "card", "brand"),
    ("payment_method_id",),
)
_BRANDS = frozenset(
    {"amex", "diners", "discover", "elo", "hipercard", "jcb", "link", "master", "mastercard", "pix", "unionpay", "visa"}
)
"""https://docs.stripe.com/api/charges/object, https://www.mercadopago.com.br/developers/en/reference/payment_methods"""

LONGEST = 64
"""Letters that are read of each place: no documented word is longer."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the metadata of a payment says that may be shown. hidden: how many of its entries are not."""

    code: str
    shown: Mapping[str, str]
    hidden: int | None

    def words(self) -> str:
        """As a person reads it."""
        told = [f"{name} {value}" for name, value in self.shown.items()]
        told += [f"{self.hidden} more, not shown"] if self.hidden else []
        return ", ".join(told) or ("nothing that may be shown" if self.hidden is None else "empty")


def said(values: Sequence[str | None], entries: int | None) -> Said:
    """What may be shown of the values that stand at PATHS, STATUS_PATHS and BRAND_PATHS, in this order.

    entries: how many the metadata has at its top; None where it could not be read.
    """
    codes = values[: len(PATHS)]
    statuses = values[len(PATHS) : len(PATHS) + len(STATUS_PATHS)]
    brands = values[len(PATHS) + len(STATUS_PATHS) :]
    shown: dict[str, str] = {}
    used: set[str] = set()
    for path, value in zip(PATHS, codes, strict=True):
        if value and is_code(value) and path[-1] not in shown and value not in shown.values():
            shown[path[-1]] = value
            used.add(path[0])
    code = next(iter(shown.values()), "")
    for path, value in zip(STATUS_PATHS, statuses, strict=True):
        if value and is_status(value) and "HTTP" not in shown:
            shown["HTTP"] = value
            used.add(path[0])
    if not code and "HTTP" in shown:
        code = f"HTTP {shown['HTTP']}"
    for path, value in zip(BRAND_PATHS, brands, strict=True):
        if value and value.lower() in _BRANDS and "brand" not in shown:
            shown["brand"] = value.lower()
            used.add(path[0])
    if not code:
        code = UNDOCUMENTED if any(one and not one.startswith(("{", "[")) for one in codes) else MISSING
    hidden = None if entries is None else max(0, entries - len(used))
    return Said(code, shown, hidden)
