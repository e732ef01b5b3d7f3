"""payments failures, on a real server: what failed, whose side it is on, and whether that is more than usual."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Page, Table
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tabsync.profiles.tabsync.payments.look import Asked, look
from tabsync.workspace import Workspace
from tests.postgres.payments.till import Till, text

DOWN = {"error": {"type": "api_connection_error", "message": "timeout"}, "last4": "4242"}
BROKE = {"decline_code": "insufficient_funds", "code": "card_declined", "brand": "visa"}
EXPIRED = {"error": {"code": "api_key_expired", "type": "invalid_request_error"}, "http_status": 401}


def shown(shop: Workspace, **asked: str) -> Page:
    return look_failures(shop, Failures(**asked))


def test_a_gateway_that_is_down(till: Till, shop: Workspace) -> None:
    till.week()
    till.week(20, 0, "mercadopago")
    till.pay(19, "stripe")
    till.pay(41, "stripe", "FAILED", metadata=DOWN)
    till.pay(20, "mercadopago")
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert page.data["line"] == (
        "stripe: 41 of 60 failed (68 %), usually 3 %: all api_connection_error (the gateway's side); "
        "mercadopago: as usual"
    )
    every, stripe, mercadopago = page.data["gateways"]
    assert (every["gateway"], every["failed"], every["tried"]) == (None, 41, 80)
    assert (stripe["side"], stripe["by"], stripe["usual_tried"]) == ("gateway", "history", 60)
    assert (mercadopago["verdict"], mercadopago["side"]) == ("as usual", None)
    groups = page.data["groups"]
    assert sum(one["failed"] for one in groups) == 41
    assert {one["code"] for one in groups} == {"api_connection_error"}
    assert groups[0]["failed"] >= groups[-1]["failed"]
    assert len({one["restaurant"] for one in groups}) > 1
    assert groups[0]["example"]["metadata"] == {"type": "api_connection_error"}
    assert page.data["unknown"] == []
    assert "tabsync payments gateways" in text(page)


def test_an_ordinary_hour(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(55)
    till.pay(3, "stripe", "FAILED", metadata=BROKE)
    till.pay(2, "stripe", "PENDING", ago=0, span=5)
    page = shown(shop)
    assert page.exit_code is Exit.DONE, page.data["line"]
    assert page.data["line"] == "stripe: 3 of 58 failed (5 %), usually 3 %"
    assert page.data["gateways"][1]["undecided"] == 2


def test_cards_that_banks_decline_are_not_the_gateways_fault(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(30)
    till.pay(28, "stripe", "FAILED", metadata=BROKE)
    till.pay(2, "stripe", "FAILED", metadata={"decline_code": "do_not_honor"})
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert page.data["gateways"][1]["side"] == "guest"
    assert "almost all insufficient_funds (the guest's or the bank's side)" in page.data["line"]
    assert "the gateway answers" in text(page)


def test_a_key_of_ours_that_expired(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(30, "stripe", "FAILED", metadata=EXPIRED)
    page = shown(shop)
    assert page.data["gateways"][1]["side"] == "ours"
    assert "all api_key_expired (our side)" in page.data["line"]
    assert "does not accept our key" in text(page)


def test_only_a_status_tells_that_it_is_the_key(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(30, "mercadopago", "FAILED", metadata={"status": 401, "message": "APP_USR-secret"})
    page = shown(shop)
    assert page.data["groups"][0]["code"] == "HTTP 401"
    assert page.data["gateways"][2]["side"] == "ours"


def test_nothing_is_paid_at_all(till: Till, shop: Workspace) -> None:
    """No row says that anything is wrong."""
    till.week()
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "no payment was tried for 1 h; usually 60 are in 1 h" in page.data["line"]
    till.pay(30, ago=40, span=15)  # until 40 minutes ago, as always
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "no payment was tried for 40 min" in page.data["line"]


def test_nothing_is_paid_and_nothing_is_known_of_before(till: Till, shop: Workspace) -> None:
    page = shown(shop)
    assert page.exit_code is Exit.UNKNOWN
    assert "no payment was tried; what is usual at this time is unknown" in page.data["line"]


def test_nothing_is_paid_as_on_every_night(till: Till, shop: Workspace) -> None:
    till.pay(1, days=(3,))
    assert shown(shop).data["verdict"] == "as usual"


def test_five_attempts_say_nothing(till: Till, shop: Workspace) -> None:
    """Below the manual's bounds, and still not fine."""
    till.pay(5, "stripe", "FAILED", metadata=DOWN)
    page = shown(shop)
    assert page.exit_code is Exit.UNKNOWN
    assert (
        "stripe: 5 of 5 failed (100 %): all api_connection_error (the gateway's side); too few to judge"
        in (page.data["line"])
    )


def test_without_a_week_before_the_manual_decides(till: Till, shop: Workspace) -> None:
    till.pay(57)
    till.pay(3, "stripe", "FAILED", metadata=BROKE)
    page = shown(shop, gateway="stripe")
    assert page.exit_code is Exit.DONE
    assert page.data["gateways"][0]["by"] == "manual"
    assert "3 of 60 failed (5 %); within the manual's bounds" in page.data["line"]
    till.pay(6, "stripe", "FAILED", metadata=DOWN)
    page = shown(shop, gateway="stripe")
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "beyond the manual's bounds" in page.data["line"]


def test_payments_that_do_not_end(till: Till, shop: Workspace) -> None:
    """The gateway takes them and never says what became of them: not one has failed."""
    till.week()
    till.pay(20)
    till.pay(40, "stripe", "PENDING", ago=20, span=35)
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "0 of 60 failed (0 %), and 40 do not end, usually 3 %" in page.data["line"]
    assert page.data["gateways"][1]["stuck"] == 40
    assert "do not charge them again" in text(page)


def test_one_bad_day_of_the_week_is_not_what_is_usual(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(200, "stripe", "FAILED", metadata=DOWN, days=(2,))
    till.pay(48)
    till.pay(12, "stripe", "FAILED", metadata=DOWN)
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "12 of 60 failed (20 %), usually 3 %" in page.data["line"]


def test_what_fails_all_week_is_not_usual_either(till: Till, shop: Workspace) -> None:
    till.pay(50, "stripe", "FAILED", metadata=DOWN, days=range(8))
    assert shown(shop).exit_code is Exit.PROBLEM_FOUND


def test_payments_of_the_future(till: Till, shop: Workspace) -> None:
    """Who writes them has a clock that is ahead: they are counted, and it is said."""
    till.week()
    till.pay(57, ago=-5, span=20)
    page = shown(shop)
    assert page.data["gateways"][1]["tried"] == 57
    assert 250 < page.data["writers_ahead_seconds"] < 301
    assert "who writes them has another clock than the database" in text(page)


def test_cash_hides_nothing(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(100, None)
    assert "no payment was tried" in shown(shop).data["line"]


def test_only_one_restaurant(till: Till, shop: Workspace) -> None:
    till.pay(30, "stripe", "FAILED", metadata=DOWN)
    name = shown(shop).data["groups"][0]["restaurant"]
    with pytest.raises(BadUsage, match="there is no restaurant"):
        shown(shop, restaurant="Nowhere")
    key = till.one("select id from restaurants where name || ' ' || left(id::text, 8) = %(name)s", name=name)
    page = shown(shop, restaurant=str(key))
    assert page.data["restaurant"] == name
    assert {one["restaurant"] for one in page.data["groups"]} == {name}
    assert page.data["gateways"][1]["failed"] < 30


@pytest.mark.parametrize("since", ["0s", "2d", "yesterday", ""])
def test_a_time_that_can_not_be_compared(shop: Workspace, since: str) -> None:
    with pytest.raises(BadUsage):
        shown(shop, since=since)


def test_a_gateway_that_is_none(shop: Workspace) -> None:
    with pytest.raises(BadUsage, match="there is no gateway paypal"):
        shown(shop, gateway="paypal")
    with pytest.raises(BadUsage, match=r"there is no gateway \*\*\*$"):
        shown(shop, gateway="4242 4242 4242 4242")


def test_nothing_is_paid_after_the_first_three_days(till: Till, shop: Workspace) -> None:
    till.pay(60, days=(1, 2, 3))
    page = shown(shop)
    assert page.exit_code is Exit.PROBLEM_FOUND
    assert "no payment was tried for 1 h; usually 60 are in 1 h" in page.data["line"]
    assert page.data["gateways"][0]["usual_tried"] == 60


def test_a_gateway_that_hangs_since_some_minutes(till: Till, shop: Workspace) -> None:
    till.week()
    till.pay(45, ago=16, span=35)
    till.pay(15, "stripe", "PENDING", ago=1, span=13)
    page = shown(shop)
    assert page.exit_code is Exit.UNKNOWN
    assert page.data["line"] == "stripe: of 15 payments of the last 15 min, 15 have no outcome yet"
    table = next(one for one in page.blocks if isinstance(one, Table))
    assert (table.columns[3], table.rows[1][3]) == ("Undecided", "15")


def test_a_status_that_is_not_known(till: Till, shop: Workspace) -> None:
    till.week()
    till.run("alter type {} add value 'DECLINED'", "PaymentStatus")
    till.pay(60, "stripe", "DECLINED")
    page = shown(shop)
    assert page.exit_code is Exit.UNKNOWN
    assert "what became of 60 is unknown" in page.data["line"]
    assert "DECLINED" not in text(page), "it could be anything"


def test_the_clocks_are_those_of_the_restaurants(till: Till, shop: Workspace) -> None:
    till.run("update restaurants set time_zone = 'Europe/Berlin'")
    till.run("update restaurants set time_zone = 'Asia/Tokyo' where id = (select min(id::text) from restaurants)::uuid")
    assert str(look(shop, Asked(timedelta(hours=1))).zone) == "Europe/Berlin"
    key = till.one("select id::text from restaurants where time_zone = 'Asia/Tokyo'")
    assert str(look(shop, Asked(timedelta(hours=1), restaurant=key)).zone) == "Asia/Tokyo"
    till.run("update restaurants set time_zone = '../../etc/passwd'")
    assert look(shop, Asked(timedelta(hours=1))).zone is UTC


def test_a_restaurant_that_no_database_can_name(shop: Workspace) -> None:
    with pytest.raises(BadUsage, match="there is no restaurant"):
        shown(shop, restaurant="alpha\0")
