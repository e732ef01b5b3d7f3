"""What one can do with notifications, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import EVERYWHERE, Procedure

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="alert notify-test",
        summary="Send a message marked TEST to each contact, or to one, and see that its channel takes it.",
        example='tabsync alert notify-test "Database Admin"',
        request="tabsync.monitoring.notify.try_out:TryOut",
        takes="dry-run json",
        plan="tabsync.monitoring.notify.try_out:plan_try_out",
        show="tabsync.monitoring.notify.try_out:show",
        surfaces=EVERYWHERE,
        needs="nothing: the database may be down",
    ),
)
