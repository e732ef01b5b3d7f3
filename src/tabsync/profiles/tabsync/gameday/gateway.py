"""Two gateways on loopback for a game day, each speaking the documented part of its API that a payment needs.

Stripe: https://docs.stripe.com/api/payment_intents/create and https://docs.stripe.com/error-codes; its status page:
https://www.stripestatus.com/api. Mercado Pago: https://www.mercadopago.com/developers/en/reference/payments/_payments/post
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_COMPONENTS = ({"id": "api", "name": "API", "group": False}, {"id": "board", "name": "Dashboard", "group": False})


@dataclass(slots=True)
class Gateways:
    """What they do. port: where; down: Stripe answers each payment with an error of its own; admitted: its status page
    says so, which people write, and later."""

    port: int = 0
    down: bool = False
    admitted: bool = False

    @property
    def status_page(self) -> str:
        """The address of Stripe's status page."""
        return f"http://127.0.0.1:{self.port}/api/v2/summary.json"

    def intent(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Stripe's answer to POST /v1/payment_intents."""
        if self.down:
            message = "Something went wrong on Stripe's end."
            return 500, {"error": {"type": "api_error", "message": message}}
        name = f"pi_{secrets.token_hex(12)}"
        return 200, {"id": name, "object": "payment_intent", "status": "succeeded", "amount": int(asked["amount"])}

    def payment(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Mercado Pago's answer to POST /v1/payments."""
        answer = {"id": secrets.randbelow(10**11), "status": "approved", "status_detail": "accredited"}
        return 201, answer | {"transaction_amount": asked["transaction_amount"]}

    def summary(self) -> dict[str, Any]:
        """Stripe's status page."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        state = "major_outage" if self.admitted else "operational"
        incident = {
            "id": "outage",
            "name": "Elevated API error rates",
            "status": "investigating",
            "impact": "major",
            "started_at": moment,
            "created_at": moment,
            "updated_at": moment,
            "incident_updates": [{"status": "investigating", "body": "We are investigating.", "created_at": moment}],
        }
        words = "Partial System Outage" if self.admitted else "All Systems Operational"
        return {
            "page": {"id": "stripe", "name": "Stripe", "url": "https://www.stripestatus.com", "updated_at": moment},
            "status": {"indicator": "major" if self.admitted else "none", "description": words},
            "components": [one | {"status": state, "updated_at": moment} for one in _COMPONENTS],
            "incidents": [incident] if self.admitted else [],
            "scheduled_maintenances": [],
        }


@contextmanager
def gateways() -> Iterator[Gateways]:
    """Both of them, for as long as the block runs."""
    found = Gateways()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, found.summary())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if self.path == "/v1/payment_intents":
                self._answer(*found.intent(dict(pair.split("=", 1) for pair in body.split("&"))))
            else:
                self._answer(*found.payment(json.loads(body)))

        def _answer(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
