"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("connections", "See who uses the connections, and end sessions.", "tabsync connections show"),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="connections show",
        summary="Show who uses the connections: by application, user, address and state.",
        example="tabsync connections show --each",
        details=(
            "Sessions that are idle in a transaction are listed separately: they hold locks. Sessions that this role "
            "may not end are marked."
        ),
        request="tabsync.sessions.show:Show",
        takes="database json",
        read="tabsync.sessions.show:look_show",
        operator="viewer",
        needs="pg_monitor",
    ),
    Procedure(
        words="connections terminate",
        summary="End sessions: by process id, or those that have been idle for long.",
        example="tabsync connections terminate --idle-for 5min --dry-run",
        details=(
            "With --idle-for, only sessions of clients in this database that idle outside of a transaction are ended; "
            "dumps, index builds and tabsync's own are left. By process id, any but this command's own can be ended. "
            "Each is looked at again when it is ended: one that has become active, or whose process id belongs to "
            "another session by then, is left, and told. The plan is valid for 5 minutes."
        ),
        request="tabsync.sessions.terminate:Terminate",
        takes="database dry-run yes json",
        plan="tabsync.sessions.terminate:plan_terminate",
        show="tabsync.sessions.terminate:show_terminate",
        surfaces=ON_REQUEST,
        needs="pg_signal_backend and pg_monitor",
    ),
)
