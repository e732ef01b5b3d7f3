"""Writers of a log that commit, roll back and keep transactions open, while the log is sealed and verified."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import psycopg

from tabsync.audit.database.log import log_of
from tabsync.audit.seals.outside import Outside
from tabsync.audit.seals.seal import anchor_of, sealed
from tabsync.audit.seals.verified import verified
from tabsync.kernel.step import Facts
from tabsync.postgres.connect import connect

_WRITE = """
insert into audit_logs (action, entity_type, entity_id, new_value, created_at)
select 'UPDATE', 'Order', n::text, jsonb_build_object('n', n), now() from generate_series(1, %s) n
"""


class Rolled(Exception):
    """A transaction that is given up on purpose."""


def crowd(conninfo: str, rows: int, *, seed: int, writers: int = 4, most: int = 40) -> Facts:
    """Write that many entries at once; gives {"rows", "seals", "verified", "wrong"}. A tenth of it is rolled back.

    most: entries of one statement, at most.
    """
    left, kept = [rows], [0]
    lock = threading.Lock()

    def work(number: int) -> None:
        chosen = random.Random(seed * 100 + number)
        with psycopg.connect(conninfo, autocommit=True) as session:
            while left[0] > 0:
                count = 0
                with suppress(Rolled), session.transaction():
                    for _ in range(chosen.randint(1, 4)):
                        amount = chosen.randint(1, most)
                        with suppress(Rolled), session.transaction():
                            session.execute(_WRITE, [amount])
                            if chosen.random() < 0.1:
                                raise Rolled
                            count += amount
                    if chosen.random() < 0.1:
                        count = 0
                        raise Rolled
                with lock:
                    left[0] -= count
                    kept[0] += count

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for one in threads:
        one.start()
    seals, times, wrong = [], 0, ""
    with connect(conninfo, "audit") as session:
        while any(one.is_alive() for one in threads):
            seals += list(sealed(session, log_of(session)))
            wrong = wrong or verified(session, Outside(tuple(anchor_of(one) for one in seals[-50:])))["wrong"]
            times += 1
        for one in threads:
            one.join()
        seals += list(sealed(session, log_of(session)))
        wrong = wrong or verified(session, Outside(tuple(anchor_of(one) for one in seals[-50:])))["wrong"]
    found = {"written": kept[0], "rows": sum(one.rows for one in seals)}
    return found | {"seals": len(seals), "verified": times, "wrong": wrong}
