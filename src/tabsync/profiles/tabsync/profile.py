"""The profile itself: what `profile = "tabsync"` in tabsync.toml brings."""

from __future__ import annotations

from tabsync.kernel.profile import Profile
from tabsync.profiles.tabsync import PROFILE_MANUAL
from tabsync.profiles.tabsync.orders.procedures import GROUPS as ORDER_GROUPS
from tabsync.profiles.tabsync.orders.procedures import PROCEDURES as ORDERS
from tabsync.profiles.tabsync.payments.procedures import GROUPS as PAYMENT_GROUPS
from tabsync.profiles.tabsync.payments.procedures import PROCEDURES as PAYMENTS
from tabsync.profiles.tabsync.payments.settings import SETTINGS as PAYMENT_SETTINGS

PROFILE = Profile(
    name="tabsync",
    summary="TabSync, a platform for restaurants: sessions at tables, orders, split payments.",
    manual=PROFILE_MANUAL,
    groups=(*PAYMENT_GROUPS, *ORDER_GROUPS),
    procedures=(*PAYMENTS, *ORDERS),
    game_days=("tabsync.profiles.tabsync.gameday.payments:GAME_DAY",),
    settings=PAYMENT_SETTINGS,
)
