"""Failed payments by gateway, method, restaurant and code, with the newest of each as its example. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tabsync.kernel.clock import iso
from tabsync.kernel.step import Facts
from tabsync.profiles.tabsync.payments.codes import MISSING, side_of
from tabsync.profiles.tabsync.payments.seen import Failed


@dataclass(frozen=True, slots=True)
class Group:
    """Failed payments of one kind. example: the newest of them."""

    gateway: str
    method: str
    restaurant: str
    code: str
    payments: int
    example: Failed

    def to_json(self) -> Facts:
        """It for programs."""
        told = self.example.said
        return {
            "gateway": self.gateway,
            "method": self.method,
            "restaurant": self.restaurant or None,
            "code": self.code,
            "side": side_of(self.code).value,
            "failed": self.payments,
            "example": {
                "id": self.example.id,
                "at": iso(self.example.at),
                "metadata": dict(told.shown) if told else None,
                "not_shown": told.hidden if told else None,
            },
        }


def grouped(failed: Sequence[Failed]) -> list[Group]:
    """By gateway, method, restaurant and code, the largest group first. failed: the newest first."""
    newest: dict[tuple[str, str, str, str], Failed] = {}
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for one in failed:
        kind = (one.gateway, one.method, one.restaurant, one.said.code if one.said else MISSING)
        newest.setdefault(kind, one)
        counts[kind] += 1
    return [Group(*kind, number, newest[kind]) for kind, number in counts.most_common()]
