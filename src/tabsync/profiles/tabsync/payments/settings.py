"""What one may set about payments, in the table [tabsync] of tabsync.toml."""

from __future__ import annotations

from tabsync.kernel.profile import ProfileSetting

STRIPE_STATUS = ProfileSetting(
    "stripe_status",
    "where Stripe's status is read: summary.json of its status page",
    "https://www.stripestatus.com/api/v2/summary.json",
)
SETTINGS = (STRIPE_STATUS,)
