"""What is wrong with the sections Audit and Users, apart from what a database would say."""

from __future__ import annotations

from collections.abc import Iterator

from tabsync.manual.model import Manual
from tabsync.manual.sections import Problem
from tabsync.postgres.readonly_text import check_readonly


def check_wiring(manual: Manual) -> Iterator[Problem]:
    """A log that is audited itself, roles that the hierarchy doesn't know, a query of the tenants that may write."""
    audit, users = manual.audit, manual.users
    if audit and any(one.name == audit.log for one in audit.tables):
        yield Problem(audit.line, f"the log {audit.log} can't be audited itself", "other tables")
    if users is None:
        return
    for role in users.sign_up:
        if role not in manual.hierarchy.names():
            yield Problem(users.line, f"the role at sign-up {role!r} is not in the hierarchy", "a role of it")
    if not manual.hierarchy.roles:
        yield Problem(users.line, "users have roles, and there is no Role hierarchy", "a section of that name")
    for told in check_readonly(users.tenants) if users.tenants else ():
        yield Problem(users.tenants_line, f"the tenants: {told}", "one read-only statement")
