"""The application's till on a game day: it asks a gateway for each payment, and keeps what came of it."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

CARD = "4000002500003155"
"""A number for tests. This till does what none should: it keeps the number with what failed."""

_PATIENCE = 10.0  # seconds for an answer


class Till:
    """Asks the gateways at a port. log: the file that it writes errors into, as a backend does."""

    def __init__(self, port: int, log: Path) -> None:
        self._port = port
        self._log = log

    def charge(self, rng: Random, method: str, gateway: str, cents: int, currency: str) -> tuple[str, dict[str, Any]]:
        """Ask a gateway for a payment: the payment's status, and what is kept of the answer."""
        if gateway == "stripe":
            asked = {"amount": cents, "currency": currency.lower(), "confirm": "true", "payment_method": "pm_card_visa"}
            code, answer = self._post("/v1/payment_intents", urlencode(asked), "application/x-www-form-urlencoded")
            error: dict[str, Any] = answer.get("error") or {}
        else:
            whole = {"transaction_amount": cents / 100, "payment_method_id": "pix" if method == "PIX" else "visa"}
            code, answer = self._post("/v1/payments", json.dumps(whole), "application/json")
            error = {} if answer.get("status") == "approved" else {"code": answer.get("status_detail")}
        if code < 300 and not error:
            return "PAID", {"reference": str(answer["id"])}
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"ERROR gateway {gateway} answered {code}: {error.get('type', '')} card={CARD}\n")
        kept = {name: error[name] for name in ("type", "code", "decline_code") if error.get(name)}
        return "FAILED", {"reference": f"{rng.getrandbits(96):024x}", "error": kept, "card_number": CARD, **kept}

    def _post(self, path: str, body: str, kind: str) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        try:
            connection.request("POST", path, body, {"content-type": kind, "authorization": "Bearer sk_test_gameday"})
            answer = connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
            return answer.status, found
        finally:
            connection.close()
