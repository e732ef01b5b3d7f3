"""The audit log of the profile's manual, in any TabSync database of a test."""

from __future__ import annotations

from tabsync.postgres.connect import connect
from tabsync.postgres.settings import Limits

NO_LIMIT = Limits(statement_timeout=0, lock_timeout=0, idle_in_transaction_timeout=0)


def install_profile(conninfo: str) -> None:
    """Install it as `tabsync audit install` does; nothing waits for a seal."""
    from tabsync.audit.install import install_for_tests
    from tabsync.manual.load import load
    from tabsync.profiles.tabsync import PROFILE_MANUAL

    manual = load(PROFILE_MANUAL)
    assert manual.audit is not None
    with connect(conninfo, "tests", limits=NO_LIMIT) as connection:
        install_for_tests(connection, manual.audit, manual.users, manual.hierarchy)
        connection.execute("select setval('tabsync_audit.last_sealed', extract(epoch from now())::bigint)")
