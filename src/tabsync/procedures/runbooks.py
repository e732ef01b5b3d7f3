"""Runbooks, declared: they start what other chapters do, so they stand above them."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("runbook", "What to do about a condition: find the runbook, run it, go on with it.", "tabsync runbook list"),
    Group("gameday", "Bring a condition about for real, and time what the manual says to do.", "tabsync gameday list"),
)

_LEDGER = "nothing: the database may be down"
_EACH = "what its steps need"

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="runbook list",
        summary="List the runbooks of the manual.",
        example="tabsync runbook list",
        read="tabsync.runbooks.show:look_list",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="runbook show",
        summary="Show one runbook, each step as it can be copied.",
        example='tabsync runbook show "Connection pool exhausted"',
        request="tabsync.runbooks.show:Show",
        read="tabsync.runbooks.show:look_show",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="runbook find",
        summary="Find the runbook for an error message, a stack trace or a few words.",
        example='tabsync runbook find "FATAL: sorry, too many clients already"',
        details=(
            "Without a text, or with -, it is read from standard input: kubectl logs app | tabsync runbook find. Known "
            "are SQLSTATEs, the codes of clients, and the texts of PostgreSQL (in its languages), of clients and of "
            "poolers; and what the manual says under Symptoms. An alert that fires now counts for its runbook. Where "
            "the same words have several causes, all are named, with what tells them apart.\n\nExit code 0: a runbook "
            "fits. 1: none does, and the text is known: the database only refuses what it was asked. 6: unknown."
        ),
        request="tabsync.runbooks.find:Find",
        read="tabsync.runbooks.find:look_find",
        command="tabsync.cli.runbook_find:find_command",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="runbook run",
        summary="Go through a runbook: what only looks is done at once, what changes something is asked for.",
        example='tabsync runbook run "Connection pool exhausted"',
        details=(
            "Each step is planned when its turn comes, shown, done and recorded, under one run. A step that ends "
            "sessions clients come back from is asked for; one that destroys something asks for the database's name. "
            "The runbook has worked when what it says under Recovers holds.\n\nWithout a terminal it stops at the "
            "first step that changes something, unless --yes is given, and at the first that a person does.\n\n"
            "Exit code 0: it has worked. 1: it has not, or stands open."
        ),
        request="tabsync.cli.runbook:Run",
        takes="database dry-run yes json",
        command="tabsync.cli.runbook:run_command",
        records=True,
        needs=_EACH,
    ),
    Procedure(
        words="runbook resume",
        summary="Go on with a run of a runbook where it stands, or take it over.",
        example="tabsync runbook resume latest",
        request="tabsync.cli.runbook:Resume",
        takes="database yes json",
        command="tabsync.cli.runbook:resume_command",
        records=True,
        needs=_EACH,
    ),
    Procedure(
        words="runbook check",
        summary="See whether each step of each runbook could be carried out; what only reads is run.",
        example="tabsync runbook check",
        details="Nothing is changed. Exit code 1: a step can't be planned, or nobody can say what it leaves open.",
        request="tabsync.runbooks.check:Check",
        read="tabsync.runbooks.check:look_check",
        takes="database json",
        operator="viewer",
        needs=_EACH,
    ),
    Procedure(
        words="manual run",
        summary="Run a procedure that the manual brings itself.",
        example='tabsync manual run "Close the shop" --dry-run',
        details=(
            "Below the heading Procedures of the manual: a heading, a `sql write` block that does it, the line "
            "`Undo:`, and one that takes it back. Each is one transaction. It is not run twice: first it is undone."
        ),
        request="tabsync.runbooks.own_procedure:Run",
        takes="database dry-run yes json",
        plan="tabsync.runbooks.own_procedure:plan_run",
        show="tabsync.runbooks.own_procedure:show",
        surfaces=ON_REQUEST,
        needs="what its SQL needs",
        undone_by="manual undo",
    ),
    Procedure(
        words="manual undo",
        summary="Undo what tabsync manual run did, as the manual says.",
        example='tabsync manual undo "Close the shop"',
        request="tabsync.runbooks.own_procedure:Run",
        takes="database dry-run yes json",
        plan="tabsync.runbooks.own_procedure:plan_undo",
        show="tabsync.runbooks.own_procedure:show",
        surfaces=ON_REQUEST,
        needs="what its SQL needs",
    ),
    Procedure(
        words="gameday list",
        summary="List the game days, and what came of each the last time.",
        example="tabsync gameday list",
        command="tabsync.cli.gameday:list_command",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="gameday run",
        summary="Bring a condition about on a server of its own, wait for the message, run the runbook, time it.",
        example="tabsync gameday run connections",
        details=(
            "It starts a PostgreSQL of its own, as the demo does, with the profile's schema, and "
            "deletes all of it at the end: no database of yours is touched.\n\nconnections: all connections are "
            "taken, and a collector tells somebody. failed-migration: a deployment under guard fails in the middle; "
            "it goes through the runbook to a second one, and rows written meanwhile must survive.\n\nWith --database "
            "connections takes place on that server instead, and takes all of its connections. It must be the demo's, "
            "or carry a mark: a comment on the database that names the server's system identifier. Each session proves "
            "that first; everything else is refused, with the comment to write.\n\nExit code 0: told, recovered, "
            "nothing ended or lost that was not to be. 1: not so."
        ),
        request="tabsync.cli.gameday:Run",
        takes="json",
        command="tabsync.cli.gameday:run_command",
        needs="nothing: it has a server of its own; on a copy: pg_monitor",
    ),
)
