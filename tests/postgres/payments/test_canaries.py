"""Cards, names and keys planted everywhere in the payments are nowhere in what TabSync shows, sends or keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.profiles.tabsync.payments.failures import Failures, look_failures
from tests.postgres.payments.till import Till
from tests.postgres.runbooks.place import Place

CARDS = ("4242424242424242", "4000 0566 5566 5556", "5555-5555-5555-4444", "378282246310005")
WORDS = ("Zacarias", "canarinho@example.com", "sk_live_canary", "tok_canary", "APP_USR-canary", "cvc7373")
CARD = CARDS[0]

WORST: list[Any] = [
    {},
    {"decline_code": CARDS[1]},
    {"decline_code": None, "code": True, "type": 4242424242424242, "status": 4242424242424242},
    {"code": {"number": CARD, "cvc": "cvc7373"}},
    {"error": [CARDS[2], {"card": {"number": CARD, "holder": "Zacarias"}}]},
    {CARD: "x", "Zacarias": "canarinho@example.com", CARDS[2]: {"code": CARDS[3]}},
    {"error": "sk_live_canary", "type": "tok_canary", "status_detail": f"cc_rejected_{CARD}"},
    {"last_payment_error": {"decline_code": "insufficient_funds", "message": f"card {CARDS[1]} of Zacarias"}},
    {"outcome": {"reason": CARDS[3], "type": "issuer_declined"}, "brand": "Zacarias", "payment_method_id": CARD},
    {"name": "Zacarias", "reason": f"insufficient_funds {CARD}", "code": "insufficient_funds\n" + CARD},
    {"message": "APP_USR-canary", "error": "invalid_access_token", "http_status": 401},
    {"error": {"error": {"error": [[[[[[CARD]]]]]]}}, "raw": {"status": CARD, "code": "cvc7373"}},
    {"code": "card_declined", "blob": CARD * 5000},
    {"code": "\uff14\uff12\uff14\uff12" * 4, "decline_code": "\u202e4242"},
]


STEPS = """1. Look.
   ```tabsync
   payments failures
   ```
2. Is it us?
   ```tabsync
   payments changes
   ```
"""


def planted(till: Till) -> None:
    for document in WORST:
        till.pay(3, "stripe", "FAILED", metadata=document)
    till.run("update restaurants set name = 'Bar ' || %(card)s || ' Zacarias'", values={"card": CARDS[1]})
    till.run("update restaurants set slug = slug || '-5555-5555-5555-4444'")
    till.run(
        "insert into payments (id, split_payment_id, attempt, method, gateway, status, amount_cents, metadata)"
        " select '42424242-4242-4242-8000-000000000001', min(id), 9999, 'CARD', 'stripe', 'FAILED', 1, %(said)s"
        " from split_payments",
        values={"said": json.dumps({"code": "expired_card"})},
    )


def leaks(text: str) -> list[str]:
    """What of the canaries a text holds: whole cards, however they are written, and words."""
    digits = re.sub(r"[\s.-]", "", text)
    return [one for one in CARDS if re.sub(r"\D", "", one) in digits] + [one for one in WORDS if one in text]


@pytest.fixture
def ground(till: Till, directory: Path) -> Place:
    planted(till)
    place = Place(directory, till.conninfo)
    place.manual(STEPS)
    config = directory / "tabsync.toml"
    said = 'profile = "tabsync"\n' + config.read_text() + '[tabsync]\nstripe_status = "http://127.0.0.1:1/"\n'
    config.write_text(said)
    return place


def test_the_canaries_are_there(till: Till) -> None:
    planted(till)
    held = till.one("select string_agg(metadata::text, ' ') || max(id::text) from payments")
    held += till.one("select string_agg(name || slug, ' ') from restaurants")
    assert set(leaks(held)) == {*CARDS, *WORDS}


def test_nobody_sees_them(ground: Place) -> None:
    found: Any = None
    for words in (("payments", "failures"), ("payments", "changes")):
        done = ground.run(*words, "--json")
        assert done.code == 1, done.err
        assert leaks(done.out + done.err) == []
        found = found or done.json
    told = ground.run("payments", "failures")
    assert "not documented" in told.out
    assert leaks(told.out + told.err) == []
    assert found["gateways"][0]["failed"] == 3 * len(WORST) + 1
    codes = {one["code"] for one in found["groups"]}
    documented = {"insufficient_funds", "card_declined", "issuer_declined", "invalid_access_token", "expired_card"}
    assert codes == {*documented, "(no code)", "(not documented)"}
    assert {json.dumps(one["example"]["metadata"]) for one in found["groups"]} >= {
        '{"decline_code": "insufficient_funds"}',
        '{"error": "invalid_access_token", "HTTP": "401"}',
    }
    with pytest.raises(BadUsage) as refused:
        look_failures(ground.workspace(), Failures(restaurant=CARDS[1]))
    assert leaks(refused.value.fact + refused.value.hint) == []


def test_ids_that_are_texts(till: Till, ground: Place) -> None:
    till.run("alter table payments alter id drop default, alter id type text")
    for number, word in enumerate(
        ("sk_live_canary", "canarinho@example.com", "4242\u00a0\u00b74242\u2014\u20144242....4242")
    ):
        till.run("update payments set id = %(id)s where attempt = 9999", values={"id": f"{word}"})
        told = ground.run("payments", "failures", "--json")
        assert leaks(told.out + told.err) == [], number
    (group,) = [one for one in told.json["groups"] if one["code"] == "expired_card"]
    assert group["example"]["id"] == "4242...42"


def test_nobody_keeps_them(ground: Place) -> None:
    """A runbook keeps what its steps have shown, and an incident tells of them."""
    begun = ground.run("runbook", "run", "too slow", "--yes", "--json")
    run = begun.json["run"]
    shown = [ground.run("run", "show", run).out, json.dumps(ground.shown(run)), begun.out, begun.err]
    assert "expired_card" in shown[1], "what was shown is kept"
    assert ground.states(run) == ["done", "done"], "that something is wrong is no reason not to go on"
    report = ground.run("incident", "report", "--file", "report.md")
    assert report.code == 0, report.err
    assert leaks("".join(shown) + (ground.directory / "report.md").read_text()) == []
    kept = [one for one in ground.directory.rglob("*") if one.is_file()]
    assert any(one.name == "ledger.sqlite" for one in kept)
    assert [(str(one), found) for one in kept if (found := leaks(one.read_bytes().decode("latin-1")))] == []
