"""payments failures, on a real server: what failed, whose side it is on, and whether that is more than usual."""

from __future__ import annotations

from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Line, Page
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tabsync.workspace import Workspace
from tests.postgres.payments.till import Till


def shown(shop: Workspace, **asked: str) -> Page:
    return look_failures(shop, Failures(**asked))


def text(page: Page) -> str:
    return "\n".join(one.text if isinstance(one, Line) else str(one) for one in page.blocks)


def test_a_gateway_that_is_down(till: Till, shop: Workspace) -> None:
    till.week()
    till.week(20, 0, "mercadopago")
    till.pay(19, "stripe")
    till.pay(41, "stripe", "FAILED", metadata={"type": "api_connection_error", "last4": "4242"})
    till.pay(20, "mercadopago")
    page = shown(shop)
    print(page.data["line"])
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert page.data["line"] == (
        "stripe: 41 of 60 failed (68 %), usually 3 %: all api_connection_error (the gateway's side); "
        "mercadopago: as usual"
    )
