"""Restores, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Procedure, Surface

RESTORES: tuple[Procedure, ...] = (
    Procedure(
        words="restore new",
        summary="Restore a backup into a new database on the same server.",
        example="tabsync restore new --from latest --as shop_yesterday",
        details=(
            "Existing databases are not changed. With --file it restores a dump from elsewhere. A dump can "
            "contain code that runs: only restore one that you trust."
        ),
        request="tabsync.backups.procedures.restore:New",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.restore:plan_new",
        show="tabsync.backups.procedures.restore:show_new",
        surfaces=ON_REQUEST,
        needs="CREATEDB",
        shows_failure=True,
    ),
    Procedure(
        words="restore diff",
        summary="Compare two databases: their objects, and which rows are only in one or different.",
        example="tabsync restore diff shop_yesterday shop",
        details=(
            "For after restore new: it shows what was written into OLD since the backup, before anybody is switched "
            "to NEW. Both are only read, each in one snapshot. Exit code 0: the same; 1: something is different or "
            "unknown. Values of the manual's secret columns are not shown."
        ),
        request="tabsync.backups.procedures.diff:Diff",
        takes="database dry-run json",
        plan="tabsync.backups.procedures.diff:plan_diff",
        show="tabsync.backups.procedures.diff:show_diff",
        surfaces=ON_REQUEST,
        needs="pg_read_all_data, in both databases",
    ),
    Procedure(
        words="restore tables",
        summary="Restore some tables. Includes the types, sequences, functions, indexes and triggers that they need.",
        example="tabsync restore tables users orders --from latest --into rescue",
        request="tabsync.backups.procedures.restore:Tables",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.restore:plan_tables",
        show="tabsync.backups.procedures.restore:show_tables",
        surfaces=ON_REQUEST,
        needs="CREATEDB, or the owner of the database that --into names",
        shows_failure=True,
    ),
    Procedure(
        words="restore rows",
        summary="Compare rows with a backup, and restore those that are missing.",
        example="tabsync restore rows --table users --where \"email = 'ana@example.com'\" --dry-run",
        details=(
            "The difference is shown, then written in one transaction. Only the needed tables are read. Rows "
            "that exist but differ are not changed without --replace; sequences are never changed. Overwritten "
            "values are kept for 30 days; --undo RUN restores them."
        ),
        request="tabsync.backups.procedures.rows:Rows",
        takes="database store dry-run yes json",
        plan="tabsync.backups.procedures.rows:plan_rows",
        show="tabsync.backups.procedures.rows:show_rows",
        command="tabsync.cli.rows:rows_command",
        surfaces=ON_REQUEST,
        needs="the tables' owner",
    ),
    Procedure(
        words="restore compared-rows",
        summary="Write what a comparison of rows found.",
        example="the page of a run that compared rows",
        request="tabsync.backups.procedures.rows:Compared",
        plan="tabsync.backups.procedures.rows:plan_compared",
        show="tabsync.backups.procedures.rows:show_rows",
        surfaces=frozenset({Surface.CONSOLE, Surface.API}),
        needs="the tables' owner",
        hidden=True,
    ),
    Procedure(
        words="restore in-place",
        summary="Replace the database with a backup. A backup of the current data is taken first.",
        example="tabsync restore in-place --from latest --dry-run",
        details=(
            "The backup is restored and verified under another name, then both databases are renamed in one "
            "transaction. The old database is kept as NAME_before_TIME until you drop it; --undo swaps the "
            "names back."
        ),
        request="tabsync.backups.procedures.in_place:InPlace",
        takes="database store dry-run yes json",
        plan="tabsync.backups.procedures.in_place:plan_in_place",
        show="tabsync.backups.procedures.in_place:show_in_place",
        surfaces=ON_REQUEST,
        needs="CREATEDB, and the database's owner",
        shows_failure=True,
    ),
    Procedure(
        words="restore to-time",
        summary=(
            "Recover the whole cluster to a point in time. The result is a new cluster; the source is not changed."
        ),
        example="tabsync restore to-time '2026-11-22 14:30:00'",
        request="tabsync.backups.procedures.to_time:ToTime",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.to_time:plan_to_time",
        show="tabsync.backups.procedures.to_time:show_to_time",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="restore clusters",
        summary="List the restored clusters, and how to connect to them.",
        example="tabsync restore clusters",
        takes="json",
        read="tabsync.backups.procedures.to_time:look_clusters",
        operator="viewer",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="restore drop",
        summary="Stop a restored cluster and delete it.",
        example="tabsync restore drop restored-20261122t143000z",
        request="tabsync.backups.procedures.to_time:Drop",
        takes="dry-run yes json",
        plan="tabsync.backups.procedures.to_time:plan_drop",
        show="tabsync.backups.procedures.to_time:show_drop",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="restore managed",
        summary="Let Supabase restore the project to a point in time.",
        example="tabsync restore managed 2026-11-22T18:15:00-03:00 --dry-run",
        details=(
            "It restores in place: later changes are lost from the project, which is down during the restore. "
            "A full backup is taken first. To see old data without changing the project, restore a backup into "
            "a new database instead: tabsync restore new."
        ),
        request="tabsync.backups.procedures.managed:Managed",
        takes="database store dry-run yes json",
        plan="tabsync.backups.procedures.managed:plan_managed",
        show="tabsync.backups.procedures.managed:show_managed",
        surfaces=ON_REQUEST,
        needs="pg_read_all_data, for the backup that is taken first",
    ),
)
