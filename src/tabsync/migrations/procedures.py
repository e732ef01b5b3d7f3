"""Everything that this chapter can do, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

GROUPS: tuple[Group, ...] = (
    Group("migration", "See what became of the application's migrations.", "tabsync migration status --folder ."),
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="migration status",
        summary="Say which migrations are applied, pending, failed or edited, by the tool's own history.",
        example="tabsync migration status --folder .",
        details=(
            "Reads the histories of Prisma up to 7, Alembic, Django, Flyway, Supabase, and tables schema_migrations. "
            "With the files it also names what is pending, what was edited since it was applied, what is in the "
            "database and not in the folder, what comes before one that is applied, and a pending one of which "
            "something is there already. Files of Python are read and not run. Who holds the tool's lock is named, and "
            "whether that deployment is probably gone. --drift runs the tool's own check, where it is at hand: code of "
            "the application, as you, with DATABASE_URL and PG* in its environment and nothing else that is ours."
            "\n\nExit code 0: in order, or pending. 1: a person has to look. 6: something is unknown: Prisma 8, or a "
            "check that could not be run."
        ),
        request="tabsync.migrations.status:Status",
        takes="database json",
        read="tabsync.migrations.status:look_status",
        operator="viewer",
        needs="SELECT on the table of the history",
    ),
    Procedure(
        words="migration guard",
        summary="Run a deployment under guard: backup and proof before, watched, and verified afterwards.",
        example="tabsync migration guard --folder . -- npx prisma migrate deploy",
        details=(
            "Refused while a failed migration lies there, while what the manual asks for before one is missing, and "
            "while a transaction holds its tables. Its sessions wait for a lock only so long, and are watched. "
            "Afterwards the histories, the catalog, the key tables and the thresholds are looked at."
            "\n\nExit code: that of the command where it ran; 4: refused; 5: it ended with 0 and is not verified."
        ),
        request="tabsync.deployments.request:Guard",
        takes="database store dry-run json",
        command="tabsync.cli.migration:guard_command",
        show="tabsync.deployments.shown:show_guard",
        shows_failure=True,
        records=True,
        evidence="migration",
        needs="the owner of the application's tables",
    ),
    Procedure(
        words="migration rehearse",
        summary="Run a deployment on a copy of the newest backup, and measure its locks.",
        example="tabsync migration rehearse --folder . -- npx prisma migrate deploy",
        details=(
            "The newest full backup is restored into a server of our own. Every connection string in the command's "
            "environment leads there, and so do DATABASE_URL and the PG* variables. A command that connects to the "
            "real database all the same is ended. Told are the time, the locks that would stop others, and the tables "
            "that are written anew. The copy is deleted afterwards."
        ),
        request="tabsync.deployments.request:Rehearse",
        takes="database store dry-run json",
        command="tabsync.cli.migration:rehearse_command",
        show="tabsync.deployments.shown:show_rehearse",
        shows_failure=True,
        records=True,
        evidence="rehearsal",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="migration resolve",
        summary="Note a migration that failed as rolled back or applied, if the catalog proves it.",
        example="tabsync migration resolve 20260301_add_tip --rolled-back --folder . --dry-run",
        details=(
            "Rolled back: nothing of it is there. Applied: all of it is. Anything between is refused, and so is what "
            "the catalog can't tell; --force with a --reason is recorded. To the history goes what Prisma's own "
            "`migrate resolve` writes; other tools have commands of their own. Refused while Prisma's lock is held."
        ),
        request="tabsync.migrations.resolve:Resolve",
        takes="database dry-run yes json",
        plan="tabsync.migrations.resolve:plan_resolve",
        show="tabsync.migrations.resolve:show_resolve",
        surfaces=ON_REQUEST,
        needs="the owner of the table of the history",
    ),
    Procedure(
        words="migration undo",
        summary="Take away what a migration that failed has left, the last statement first.",
        example="tabsync migration undo 20260301_add_tip --folder . --dry-run",
        details=(
            "For each statement of its SQL that is there, the statement that takes it away, with the rows or values "
            "that it loses: these are kept first, as a script for psql, for 30 days. Never with CASCADE, and nothing "
            "that was there before. What no statement takes away is named, and refused without "
            "--only-what-can-be-undone: dropped things, changed rows, a new label of an enum: from a backup only."
        ),
        request="tabsync.migrations.undo.undo:Undo",
        takes="database dry-run yes json",
        plan="tabsync.migrations.undo.undo:plan_undo",
        show="tabsync.migrations.undo.undo:show_undo",
        surfaces=ON_REQUEST,
        needs="the owner of what it has made",
    ),
)
