"""Archiving WAL, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, ON_REQUEST, Procedure, Surface

WAL: tuple[Procedure, ...] = (
    Procedure(
        words="wal receive",
        summary=(
            "Receive the cluster's WAL into the store. Runs until Ctrl-C or SIGTERM, and reconnects after an error."
        ),
        example="tabsync wal receive --drop-slot-over 50GB",
        request="tabsync.backups.procedures.wal:Receive",
        takes="database store dry-run json",
        command="tabsync.cli.wal:receive_command",
        records=True,
        surfaces=frozenset({Surface.CLI, Surface.SCHEDULE}),
        needs="REPLICATION",
        evidence="wal",
        endless=True,
        approval="it creates a replication slot: WAL that nobody reads fills the server's disk",
    ),
    Procedure(
        words="wal push",
        summary=(
            "Store a finished WAL file; for archive_command. The same file again is accepted, other content is refused."
        ),
        example="archive_command = 'tabsync wal push --config /etc/tabsync.toml %p'",
        request="tabsync.backups.procedures.wal:Push",
        takes="store",
        command="tabsync.cli.wal:push_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="wal fetch",
        summary=(
            "Fetch a WAL file; for restore_command. Exit code 1: the file does not exist. 200: unknown, recovery ends."
        ),
        example="restore_command = 'tabsync wal fetch --config /etc/tabsync.toml %f %p'",
        details="On a standby both are 1, because it asks again by itself, and 200 would end it.",
        request="tabsync.backups.procedures.wal:Fetch",
        takes="store",
        command="tabsync.cli.wal:fetch_command",
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="wal copy",
        summary="Copy missing WAL into another store, and check each file.",
        example="tabsync wal copy --to az://backups/prod, every 10 minutes by cron",
        details=(
            "The oldest is copied first; encrypted files stay encrypted. If the physical backups are copied "
            "there too, the cluster can be recovered from that store alone."
        ),
        request="tabsync.backups.procedures.wal:CopyWal",
        takes="store dry-run json",
        plan="tabsync.backups.procedures.wal:plan_copy_wal",
        show="tabsync.backups.procedures.wal:show_copy_wal",
        surfaces=EVERYWHERE,
        needs="nothing: the database may be down",
    ),
    Procedure(
        words="wal status",
        summary=(
            "Check that WAL is archived, without gaps, and what slots keep. Exit code 1 if something is wrong "
            "or unknown."
        ),
        example="tabsync wal status --json",
        request="tabsync.backups.procedures.wal:Status",
        read="tabsync.backups.procedures.wal:look_status",
        needs="pg_monitor",
        operator="viewer",
    ),
    Procedure(
        words="wal drop-slot",
        summary="Drop a slot, and with it the WAL that the server keeps for it. The archive then has a gap.",
        example="tabsync wal drop-slot --slot tabsync_wal",
        request="tabsync.backups.procedures.wal:DropSlot",
        takes="database store dry-run yes json",
        plan="tabsync.backups.procedures.wal:plan_drop_slot",
        show="tabsync.backups.procedures.wal:show_drop_slot",
        surfaces=ON_REQUEST,
        needs="REPLICATION",
    ),
)
