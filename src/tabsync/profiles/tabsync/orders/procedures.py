"""What one can do about orders, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (Group("orders", "Pause orders, and take them again.", "tabsync orders status"),)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="orders pause",
        summary="Let no new order in for a while, at all restaurants or at one.",
        example='tabsync orders pause --for 2h --reason "Stripe is down"',
        details=(
            "A pause is a row of its own, which ends by its time whatever happens to tabsync. accepts_orders of the "
            "restaurants isn't touched: what their owners set meanwhile counts. A restaurant that is added meanwhile "
            "is paused with all. Two pauses are two rows, and orders come in again when the last one has ended.\n\n"
            "From the first step on, every order that begins is refused. The second step waits for the orders that "
            "were under way, and names who may still commit one. Exit code 0: no order comes in any more. 6: it is "
            "paused, and some may still come in."
        ),
        request="tabsync.profiles.tabsync.orders.pause:Pausing",
        takes="database dry-run json",
        plan="tabsync.profiles.tabsync.orders.pause:plan_pause",
        show="tabsync.profiles.tabsync.orders.pause:show_pause",
        undone_by="orders resume",
        shows_failure=True,
        surfaces=ON_REQUEST,
        needs="INSERT and UPDATE on order_pauses and order_gate; UPDATE on restaurants to wait for fewer transactions",
        operator="responder",
    ),
    Procedure(
        words="orders resume",
        summary="End the pauses of all restaurants, or those of one.",
        example="tabsync orders resume",
        details=(
            "It ends exactly the pauses that the plan shows: one that is made meanwhile stays, and is shown. Without "
            "--restaurant, a restaurant that was paused by itself stays paused. Restaurants that their owners have "
            "closed stay closed."
        ),
        request="tabsync.profiles.tabsync.orders.resume:Resuming",
        takes="database dry-run json",
        plan="tabsync.profiles.tabsync.orders.resume:plan_resume",
        show="tabsync.profiles.tabsync.orders.resume:show_resume",
        surfaces=ON_REQUEST,
        needs="UPDATE on order_pauses",
        operator="responder",
    ),
    Procedure(
        words="orders status",
        summary="Show which restaurants take orders, and what is paused: until when, by whom, why.",
        example="tabsync orders status",
        details="Exit code 0: nothing is paused. 1: something is paused. 6: whether a pause has an effect is unknown.",
        takes="database json",
        read="tabsync.profiles.tabsync.orders.status:look_status",
        needs="SELECT on restaurants, orders, order_pauses and order_gate",
        operator="viewer",
    ),
)
