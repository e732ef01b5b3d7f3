"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("connections", "See who uses the connections, and end sessions.", "tabsync connections show"),
    Group("queries", "See which statements run, and cancel one.", "tabsync queries show"),
    Group("locks", "See who waits for whom.", "tabsync locks show"),
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
        words="connections diagnose",
        summary="Find out why one can't connect: the server, its limits, the pooler, or the application's own pool.",
        example='tabsync connections diagnose --text "couldn\'t get a connection after 30.00 sec"',
        details=(
            "One sentence with its evidence, what could not be seen, and the step that fits, within 10 seconds. It "
            "ends nothing. A server that is stopped and a wrong port look alike: they are told apart by where the "
            "database answered last, or by postmaster.pid on the same machine; else both are named. The application's "
            "own pool is visible to no database: give its message with --text.\n\nExit code 0: connections are used "
            "up, and ending sessions helps. 1: it is something else, which is named. 6: unknown."
        ),
        request="tabsync.sessions.diagnose:Diagnose",
        takes="database json",
        read="tabsync.sessions.diagnose:look_diagnose",
        operator="viewer",
        needs="pg_monitor; it also says what it can without a session",
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
        operator="responder",
    ),
    Procedure(
        words="connections limit",
        summary="Limit a role's connections for a while; the limit of before is set back by itself.",
        example="tabsync connections limit app 20 --for 15min",
        details=(
            "After its sessions were ended, a pool opens new ones at once: this holds it back. Sessions that are open "
            "stay. When the time is over, tabsync serve sets the limit of before back, or else the next command, "
            "whichever it is. A limit that somebody else has set meanwhile is not overwritten by itself: it is said "
            "until --undo or --keep settles it. Superusers pass every limit."
        ),
        request="tabsync.sessions.limit:Limit",
        takes="database dry-run json",
        plan="tabsync.sessions.limit:plan_limit",
        show="tabsync.sessions.limit:show_limit",
        surfaces=ON_REQUEST,
        needs="CREATEROLE, and ADMIN on the role",
        operator="responder",
    ),
    Procedure(
        words="queries show",
        summary="Show which statements run, for how long, what they wait for and whom they block.",
        example="tabsync queries show",
        details="Sessions that block others come first, then the statements that have run longest.",
        request="tabsync.sessions.queries:Queries",
        takes="database json",
        read="tabsync.sessions.queries:look_queries",
        operator="viewer",
        needs="pg_monitor",
    ),
    Procedure(
        words="queries cancel",
        summary="Cancel the statement that a session runs; the session stays connected.",
        example="tabsync queries cancel 4711 --dry-run",
        details=(
            "Only the statement of the plan is cancelled: a session that runs another one by then is left. If it still "
            "runs after 2 s, --terminate ends the session. The plan is valid for 5 minutes."
        ),
        request="tabsync.sessions.cancel:Cancel",
        takes="database dry-run yes json",
        plan="tabsync.sessions.cancel:plan_cancel",
        show="tabsync.sessions.cancel:show_cancel",
        surfaces=ON_REQUEST,
        needs="pg_signal_backend and pg_monitor",
        operator="responder",
    ),
    Procedure(
        words="queries explain",
        summary="Show the plan of the statement that a session runs, without running it.",
        example="tabsync queries explain 4711",
        details=(
            "As the session's own role, read-only, in 2 seconds at most. EXPLAIN itself runs functions, so a statement "
            "that calls others than PostgreSQL's own is refused, also where an index, a view, a policy or a default "
            "behind it does. Parameters are unknown: the plan is the generic one."
        ),
        request="tabsync.sessions.explain:Explain",
        takes="database json",
        read="tabsync.sessions.explain:look_explain",
        operator="viewer",
        needs="pg_monitor, and membership in the session's role",
    ),
    Procedure(
        words="locks show",
        summary="Show who waits for a lock, and whom for: the session that blocks the others first.",
        example="tabsync locks show --json",
        details="Exit code 0: nobody waits. 1: somebody waits.",
        takes="database json",
        read="tabsync.sessions.locks:look_locks",
        operator="viewer",
        needs="pg_monitor",
    ),
)
