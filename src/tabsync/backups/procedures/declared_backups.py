"""Taking, keeping and looking at backups, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, ON_REQUEST, Procedure

BACKUPS: tuple[Procedure, ...] = (
    Procedure(
        words="backup take",
        summary="Take a backup of one consistent snapshot.",
        example="tabsync backup take full --reason pre-migration",
        details=(
            "full: the whole database. schema: definitions without rows. data: rows without definitions. "
            "tables: the rows of some tables with all definitions, so that they can be restored into any "
            "database. physical: the files of the whole cluster, which together with WAL (tabsync wal receive) "
            "can be recovered to any later second; self-hosted servers only."
        ),
        request="tabsync.backups.procedures.take:Take",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.take:plan_take",
        show="tabsync.backups.procedures.take:show_take",
        surfaces=EVERYWHERE,
        needs="pg_read_all_data; REPLICATION for physical",
        evidence="backup",
        evidence_for={"physical": "physical"},
        fits="tabsync.backups.procedures.evidence:take_fits",
    ),
    Procedure(
        words="backup list",
        summary="List the backups in the store, and whether each is proven.",
        example="tabsync backup list --json",
        details=(
            "The newest is last. Also lists the backups that Supabase has of the project, and those of "
            "pgBackRest if it is installed. Only reads."
        ),
        read="tabsync.backups.procedures.looks:look_list",
        operator="viewer",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup provider",
        summary="Check that what the provider keeps is young enough: its snapshots, or its point-in-time window.",
        example="tabsync backup provider --region sa-east-1",
        details="Exit code 0: it is. 1: it is too old, or elsewhere. 6: the provider can't be asked. Only reads.",
        request="tabsync.backups.procedures.at_provider:AtProvider",
        takes="json",
        read="tabsync.backups.procedures.at_provider:look_provider",
        operator="viewer",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup show",
        summary="Show a backup: its source, its snapshot, its tables.",
        example="tabsync backup show latest",
        request="tabsync.backups.procedures.looks:Show",
        read="tabsync.backups.procedures.looks:look_show",
        operator="viewer",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup prune",
        summary="Show the backups that have expired; --apply deletes them.",
        example="tabsync backup prune, then: tabsync backup prune --apply",
        details=(
            "Backups expire by the manual's Retention table. Always kept: held backups (tabsync backup hold), "
            "each database's newest proven backup, and its newest of each kind."
        ),
        request="tabsync.backups.procedures.retention:Prune",
        takes="store dry-run yes json",
        plan="tabsync.backups.procedures.retention:plan_prune",
        show="tabsync.backups.procedures.retention:show_prune",
        after="tabsync.backups.procedures.retention:after_prune",
        surfaces=EVERYWHERE,
        approval="it deletes backups",
        approval_if="--apply",
        approval_binds="retention",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup hold",
        summary="Hold a backup: it does not expire until it is released.",
        example="tabsync backup hold latest --reason 'evidence for incident 7'",
        request="tabsync.backups.procedures.retention:Hold",
        takes="store dry-run json",
        plan="tabsync.backups.procedures.retention:plan_hold",
        show="tabsync.backups.procedures.retention:show_hold",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup release",
        summary="Release a held backup: it then expires by its retention class.",
        example="tabsync backup release 20261122T181500Z-1a2b",
        request="tabsync.backups.procedures.retention:Release",
        takes="store dry-run json",
        plan="tabsync.backups.procedures.retention:plan_release",
        show="tabsync.backups.procedures.retention:show_release",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup verify",
        summary="Verify that all stored objects of a backup are unchanged.",
        example="tabsync backup verify latest --deep",
        details=(
            "--deep also proves that it can be restored. Exit code 1 if anything is missing, corrupt, or (with "
            "--deep) not proven. The verdict is written into the ledger."
        ),
        request="tabsync.backups.procedures.verify:Verify",
        takes="database store dry-run json",
        plan="tabsync.backups.procedures.verify:plan_verify",
        show="tabsync.backups.procedures.verify:show_verify",
        command="tabsync.cli.verify:verify_command",
        surfaces=EVERYWHERE,
        shows_failure=True,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup sign",
        summary="Sign backups that have no signature of a trusted key.",
        example="tabsync backup sign --dry-run",
        details=(
            "They were taken before trusted_keys was set, or signed with a retired key. Every object is read "
            "first. A backup that this host's ledger does not know is only signed if you name it."
        ),
        request="tabsync.backups.procedures.sign:Sign",
        takes="store dry-run json",
        plan="tabsync.backups.procedures.sign:plan_sign",
        show="tabsync.backups.procedures.sign:show_sign",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup copy",
        summary="Copy a backup to another store, and check every object there.",
        example="tabsync backup copy latest --to az://backups/prod",
        details=(
            "Encrypted objects stay encrypted. If the manual keeps a class in several stores, its backups are "
            "copied when they are taken."
        ),
        request="tabsync.backups.procedures.copy:Copy",
        takes="store dry-run json",
        plan="tabsync.backups.procedures.copy:plan_copy",
        show="tabsync.backups.procedures.copy:show_copy",
        surfaces=EVERYWHERE,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup window",
        summary="Show to which times recovery is possible.",
        example="tabsync backup window --json",
        details=(
            "Lists each recovery window with its backup, gaps in the WAL, the dumps, and the window of "
            "Supabase if it runs the server. Times are in the local time zone. Exit code 1 if WAL is missing "
            "or something can't be read."
        ),
        read="tabsync.backups.procedures.looks:look_window",
        operator="viewer",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup query",
        summary="Run a SELECT in a copy of a backup.",
        example="tabsync backup query latest 'select count(*) from users'",
        details=(
            "With a warm copy this takes a second; otherwise the tables of the statement are restored first. "
            "The statement runs as a read-only role in a scratch server, which is stopped afterwards."
        ),
        request="tabsync.backups.procedures.query:Query",
        takes="database store dry-run json",
        command="tabsync.cli.query:query_command",
        records=True,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="backup cool",
        summary="Delete warm copies, made by drill --keep-warm. The backups are kept.",
        example="tabsync backup cool",
        request="tabsync.backups.procedures.query:Cool",
        takes="dry-run json",
        plan="tabsync.backups.procedures.query:plan_cool",
        show="tabsync.backups.procedures.query:show_cool",
        surfaces=ON_REQUEST,
        needs="nothing: the database may be down",
    ),
)
