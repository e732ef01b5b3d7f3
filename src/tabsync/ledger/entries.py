"""What is written down of a run, as JSON: a run that begins, a step that changes, the end. Tables are made from these.

The same entries go into the ledger and, while it can't be written, into the emergency journal: see emergency.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tabsync.kernel.step import Facts

if TYPE_CHECKING:
    from sqlalchemy import Connection


def begin(run: Facts, steps: Iterable[Facts], audit: Facts) -> Facts:
    """A run that begins, with the rows of its steps and what the audit says of it."""
    return {"do": "begin", "run": run, "steps": list(steps), "audit": audit}


def step(run_id: str, number: int, **values: object) -> Facts:
    """What changed of a step."""
    return {"do": "step", "run_id": run_id, "number": number, "values": values}


def end(run_id: str, **values: object) -> Facts:
    """What changed of a run: its state, when it finished."""
    return {"do": "run", "run_id": run_id, "values": values}


def said(table: str, row: Facts) -> Facts:
    """A line of a table that only grows: "audit" or "evidence"."""
    return {"do": "say", "table": table, "row": row}


def write(connection: Connection, entry: Facts) -> None:
    """Write an entry into the ledger, in the transaction that is open."""
    from sqlalchemy import insert, update

    from tabsync.ledger import tables

    if entry["do"] == "begin":
        connection.execute(insert(tables.run), [entry["run"]])
        if entry["steps"]:
            connection.execute(insert(tables.step), entry["steps"])
        connection.execute(insert(tables.audit), [entry["audit"]])
    elif entry["do"] == "step":
        mine = (tables.step.c.run_id == entry["run_id"]) & (tables.step.c.number == entry["number"])
        connection.execute(update(tables.step).where(mine).values(**entry["values"]))
    elif entry["do"] == "run":
        mine = tables.run.c.id == entry["run_id"]
        connection.execute(update(tables.run).where(mine).values(**entry["values"]))
    else:
        connection.execute(insert(tables.metadata.tables[entry["table"]]), [entry["row"]])


def onto(run: Facts | None, entry: Facts) -> Facts | None:
    """A run with its steps as it is after an entry, without a ledger; None: there is no such run yet."""
    if entry["do"] == "begin":
        blank = {"started_at": None, "seconds": None, "facts": None, "fact": None, "hint": None}
        steps = [blank | row for row in entry["steps"]]
        return {"finished_at": None, "parent": "", **entry["run"], "steps": steps}
    if run is None:
        return None
    if entry["do"] == "step":
        steps = [one | entry["values"] if one["number"] == entry["number"] else one for one in run["steps"]]
        return run | {"steps": steps}
    return run | entry["values"] if entry["do"] == "run" else run
