"""What of a payment may be shown: documented words and nothing else, whatever stands in its metadata."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from tabsync.profiles.tabsync.payments import codes
from tabsync.profiles.tabsync.payments.codes import MISSING, UNDOCUMENTED, Side, is_code, is_status, says_key, side_of
from tabsync.profiles.tabsync.payments.metadata import BRAND_PATHS, LONGEST, PATHS, STATUS_PATHS, said
from tabsync.profiles.tabsync.payments.safe import HIDDEN, holds_card, safe_id, safe_name, without_digits

PLACES = (*PATHS, *STATUS_PATHS, *BRAND_PATHS)
KNOWN = ("insufficient_funds", "api_error", "api_key_expired", "cc_rejected_high_risk", "401", "500", "visa", "pix")
BRANDS = {"amex", "elo", "hipercard", "master", "mastercard", "pix", "visa"}

values = some.lists(
    some.none() | some.sampled_from(KNOWN) | some.text(max_size=LONGEST), min_size=len(PLACES), max_size=len(PLACES)
)


def luhn(digits: str) -> str:
    """A number with the check digit of a card, as its definition has it: https://www.iso.org/standard/70484.html"""
    total = 0
    for place, one in enumerate(reversed(digits)):
        number = int(one) * (2 if place % 2 == 0 else 1)
        total += number // 10 + number % 10
    return digits + str(-total % 10)


cards = some.text("0123456789", min_size=12, max_size=18).map(luhn)


def with_gaps(card: str, gaps: list[str]) -> str:
    return "".join(digit + gap for digit, gap in zip(card, [*gaps, *[""] * len(card)], strict=False))


GAPS = ["", " ", "-", ". ", "_", "\u00a0\u00b7", "\u2014\u2014", "...."]
written = some.builds(with_gaps, cards, some.lists(some.sampled_from(GAPS), max_size=19))


@given(values, some.none() | some.integers(0, 50))
def test_nothing_is_shown_that_is_not_documented(found: list[str | None], entries: int | None) -> None:
    told = said(found, entries)
    for name, value in told.shown.items():
        documented = is_status(value) if name == "HTTP" else value in BRANDS if name == "brand" else is_code(value)
        assert documented or value in {"diners", "discover", "jcb", "link", "unionpay"}, (name, value)
    assert is_code(told.code) or told.code in (MISSING, UNDOCUMENTED) or is_status(told.code.removeprefix("HTTP "))
    assert told.hidden is None or told.hidden >= 0


@given(written, some.sampled_from(range(len(PLACES))))
def test_a_card_in_any_place_is_not_shown(card: str, place: int) -> None:
    found: list[str | None] = [None] * len(PLACES)
    found[place] = card
    told = said(found, 1)
    assert told.shown == {}
    assert card not in told.words() + told.code


def at(**given: str) -> list[str | None]:
    by_path = {tuple(name.split("__")): value for name, value in given.items()}
    return [by_path.pop(path, None) for path in PLACES]


def test_the_most_exact_code_is_the_one() -> None:
    assert said(at(type="card_error", code="card_declined", decline_code="lost_card"), 3).code == "lost_card"
    assert said(at(error__type="invalid_request_error", error__code="api_key_expired"), 1).code == "api_key_expired"
    assert said(at(status="401", error="invalid_access_token"), 2).code == "invalid_access_token"
    assert said(at(status="401"), 2).code == "HTTP 401"
    assert said(at(code="brand_new", type="api_error"), 2).code == "api_error"
    assert said(at(code="brand_new"), 1).code == UNDOCUMENTED
    assert said(at(code='{"number": 1}'), 1).code == MISSING
    assert said(at(status="pending"), 1).code == MISSING


def test_what_is_not_shown_is_counted() -> None:
    told = said(at(decline_code="lost_card", brand="VISA"), 5)
    assert (dict(told.shown), told.hidden) == ({"decline_code": "lost_card", "brand": "visa"}, 3)
    assert told.words() == "decline_code lost_card, brand visa, 3 more, not shown"
    assert said(at(), 0).words() == "empty"
    assert said(at(), None).words() == "nothing that may be shown"


def test_each_code_is_on_one_side() -> None:
    sides = [getattr(codes, name).split() for name in ("_GATEWAY", "_GUEST", "_OURS", "_KEY")]
    every = [one for side in sides for one in side]
    assert len(every) == len(set(every))
    assert all(len(one) <= LONGEST for one in every)
    assert side_of("HTTP 503") is Side.GATEWAY
    assert side_of("HTTP 401") is side_of("api_key_expired") is side_of("invalid_access_token") is Side.OURS
    assert side_of("insufficient_funds") is side_of("cc_rejected_call_for_authorize") is Side.GUEST
    assert side_of(UNDOCUMENTED) is side_of(MISSING) is Side.UNKNOWN
    assert says_key("HTTP 401")
    assert not says_key("HTTP 500")


@given(some.text(max_size=20), written, some.text(max_size=20))
def test_no_name_holds_a_card(before: str, card: str, after: str) -> None:
    assert safe_name(before + card + after) == HIDDEN


def test_names_as_they_are() -> None:
    assert safe_name("Bar do Zé 24h, Rua 7") == "Bar do Zé 24h, Rua 7"
    assert safe_name("ana@example.com") == HIDDEN
    assert safe_name("\u0664\u0665" * 8) == HIDDEN, "digits of another script are digits"
    assert safe_name("Ana ana at example.com") == HIDDEN
    assert safe_name("Bar sk_live_Abcdefghijklmnop") == HIDDEN
    assert safe_name("Bar APP-USR-1a2b3c-Abcdefghijklmnop") == HIDDEN
    assert safe_name("Churrascaria-Rodízio Três Irmãos") == "Churrascaria-Rodízio Três Irmãos"
    assert safe_name("x" * 50) == f"{'x' * 37}..."
    assert safe_name("a\x1b[31m\nb") == "a\N{REPLACEMENT CHARACTER}[31m b"


@given(written)
def test_no_id_is_a_card(card: str) -> None:
    assert holds_card(card)
    assert card not in safe_id(card)
    assert card not in without_digits(f"invalid input: {card}!")


def test_ids_as_they_are() -> None:
    one = "57e7e8fa-d873-4193-81c2-ea0418e1214a"
    assert safe_id(one) == one
    assert safe_id(UUID(one)) == one
    assert (safe_id(1234567890123), safe_id("4711")) == ("1234567890123", "4711")
    assert safe_id(4242424242424242) == "4242...42"
    assert safe_id("42424242-4242-4242-8000-000000000001") == "4242...01"
    for other in ("ana@example.com", "sk_live_Abcdefghijklmnop", "123.456.789-09", "12345678909", "+55 11 98765-4321"):
        assert safe_id(other) == f"{other[:4]}...{other[-2:]}"
    assert safe_id("cvc7373") == "c...", "the ends of a short one are all of it"
    assert without_digits("relation 16384 of 2026") == "relation 16384 of 2026"
