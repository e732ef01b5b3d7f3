"""Payments of a restaurant's database, put there by the test: how many, when, through whom, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from psycopg import sql

from tabsync.kernel.page import Line, Note, Page
from tests.sessions import connect

_PAY = """
insert into payments
  (split_payment_id, attempt, method, gateway, status, amount_cents, metadata, created_at, updated_at)
select s.id, %(from)s + n, %(method)s, %(gateway)s, %(status)s, 4200, %(metadata)s, t.at, t.at
  from generate_series(0, %(count)s - 1) n,
       lateral (select id from split_payments order by id offset n %% 150 limit 1) s,
       lateral (select now() - interval '1 day' * %(day)s - interval '1 min' * %(ago)s
                       - interval '1 s' * (n * 60 * %(span)s / %(count)s) as at) t
"""


@dataclass
class Till:
    """A database whose payments are all the test's."""

    conninfo: str

    def __post_init__(self) -> None:
        self._attempts = count(1, 200)
        self.run("drop index payments_paid_once_key")
        self.run("truncate payments")

    def run(self, statement: str, *names: str, values: dict[str, Any] | None = None) -> None:
        """Run one statement; {} are identifiers."""
        with connect(self.conninfo, "tests") as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)), values)

    def pay(
        self,
        number: int,
        gateway: str | None = "stripe",
        status: str = "PAID",
        *,
        metadata: Any = None,
        method: str = "",
        days: Sequence[int] = (0,),
        ago: float = 1,
        span: float = 50,
    ) -> None:
        """Payments of each of some days, spread over `span` minutes that end `ago` minutes before this time of day."""
        method = method or ("CASH" if gateway is None else "CARD")
        document = json.dumps({} if metadata is None else metadata)
        with connect(self.conninfo, "tests") as connection:
            for day in days:
                values = {"from": next(self._attempts), "method": method, "gateway": gateway, "status": status}
                values |= {"metadata": document, "count": number, "day": day, "ago": ago, "span": span}
                connection.execute(_PAY, values)

    def week(self, paid: int = 58, failed: int = 2, gateway: str = "stripe") -> None:
        """The same hour of the seven days before: 60 tried, 2 failed."""
        self.pay(paid, gateway, days=range(1, 8))
        if failed:
            self.pay(failed, gateway, "FAILED", metadata={"decline_code": "insufficient_funds"}, days=range(1, 8))

    def one(self, statement: str, **values: Any) -> Any:
        """The value of a statement."""
        with connect(self.conninfo, "tests") as connection:
            (found,) = connection.execute(sql.SQL(statement), values).fetchone() or (None,)
            return found


def text(page: Page) -> str:
    """All that a person reads."""
    return "\n".join(one.text if isinstance(one, Line | Note) else str(one) for one in page.blocks)
