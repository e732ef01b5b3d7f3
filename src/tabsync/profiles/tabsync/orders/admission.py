"""Whether what lets orders in is the migration's own, so that a pause keeps them out: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from tabsync.kernel.errors import Refused
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts

MIGRATION = "0010_order_pauses"
BY_HAND = "save the list of open restaurants, then: update restaurants set accepts_orders = false"
_NAME, _MOVED = "orders_admission", "orders_admission_moved"
_CALLS = "EXECUTE FUNCTION public.orders_admission()"
_TRIGGERS = {
    _NAME: "CREATE TRIGGER orders_admission BEFORE INSERT ON public.orders FOR EACH ROW"
    " WHEN ((new.status <> ALL (ARRAY['DELIVERED'::public.\"OrderStatus\", 'CANCELLED'::public.\"OrderStatus\"])))"
    f" {_CALLS}",
    _MOVED: "CREATE TRIGGER orders_admission_moved BEFORE UPDATE OF restaurant_id, table_session_id ON public.orders"
    " FOR EACH ROW WHEN (((old.restaurant_id IS DISTINCT FROM new.restaurant_id)"
    f" OR (old.table_session_id IS DISTINCT FROM new.table_session_id))) {_CALLS}",
}
"""As pg_get_triggerdef() writes them, in each major version."""

_HARMLESS = "BEGINNEW.updated_at:=now();RETURNNEW;END"
_SETTINGS = ["search_path=pg_catalog, pg_temp"]


def unsure(functions: Sequence[Facts], triggers: Sequence[Facts], around: Facts) -> str:
    """Why it is unknown whether a pause keeps orders out; "" where it does.

    functions: orders_admission(), if it is there; triggers: of orders, before a row, with their functions' text;
    around: what goes past triggers. Raises Refused where it is known that a pause keeps out none.
    """
    if not functions or "order_pauses" not in functions[0]["source"]:
        raise Refused("orders are let in by a function that knows no pauses", f"by hand: {BY_HAND}")
    if not any(one["admits"] and one["inserts"] and one["enabled"] in ("O", "A") for one in triggers):
        raise Refused(
            "orders are let in unchecked: the trigger orders_admission is missing, or disabled",
            "by hand: alter table orders enable trigger orders_admission",
        )
    return next(_doubts(functions[0], triggers, around), "")


def _doubts(function: Facts, triggers: Sequence[Facts], around: Facts) -> Iterator[str]:
    if not function["sees"]:
        yield "orders_admission() runs as a role that may not see the pauses: row security, or no privilege"
    bare = "".join(function["source"].split()), function["language"], function["settings"]
    if bare != (_known(), "plpgsql", _SETTINGS):
        yield f"orders_admission() is another one than that of the migration {MIGRATION}"
    there = {one["name"]: one for one in triggers}
    for name, definition in _TRIGGERS.items():
        one = there.get(name)
        if one is None or one["enabled"] not in ("O", "A") or one["definition"] != definition:
            yield f"the trigger {name} of orders is missing, switched off, or another one than TabSync's"
    for one in triggers:
        if one["name"] not in _TRIGGERS and _may_move(one):
            yield f"the trigger {in_one_line(one['name'])} of orders may change which restaurant an order is for"
    if any(there[name]["enabled"] != "A" for name in _TRIGGERS if name in there):
        for who in around["replicas"]:
            yield f"triggers don't fire for {in_one_line(who)}: session_replication_role = replica"
        if around["subscribed"]:
            yield "a subscription writes orders, and triggers don't fire for it"
    if around["inherited"]:
        yield "tables inherit from orders, and what comes into them is let in unchecked"


def _may_move(one: Facts) -> bool:
    """Whether it comes after the check, and could change the order. They fire in the order of their names."""
    if one["enabled"] == "D" or "".join(one["source"].split()) == _HARMLESS:
        return False
    return bool(one["updates"] or one["name"].encode() > _NAME.encode())


@cache
def _known() -> str:
    """What the migration makes of the function, without its spaces."""
    text = (files("tabsync.profiles.tabsync") / "schema" / f"{MIGRATION}.sql").read_text(encoding="utf-8")
    return "".join(text.partition("pg_temp AS $$")[2].partition("$$;")[0].split())
