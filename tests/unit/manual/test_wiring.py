"""The sections Audit and Users: what is read from them, and what is told about a wrong one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tabsync.manual.check_wiring import check_wiring
from tabsync.manual.model import Manual
from tabsync.manual.parse import parse
from tabsync.manual.wiring import AuditedTable

HIERARCHY = """
# Role hierarchy

- BOSS
  - COOK
"""

AUDIT = """
# Audit

Log: `app.trail`

| Table | Recorded | Secret columns | Kept | Entity |
|---|---|---|---|---|
| users | must | password_hash, totp | 1 year | User |
| app.orders | When possible | — | for ever | |
"""

USERS = """
# Users

| What | Where |
|---|---|
| Table | people |
| Key | id |
| E-mail | mail |
| Role | role |
| Roles at sign-up | COOK |

```sql
select user_id, shop as tenant, '' as position from staff
```
"""


def read(text: str) -> tuple[Manual, list[str]]:
    """A manual, and what is wrong with these sections."""
    manual, problems = parse(text)
    told = [one for one in problems if not one.what.startswith("there is no section")]
    return manual, [f"{one.what}, expected {one.expected}" for one in [*told, *check_wiring(manual)]]


def test_audited_tables_are_read() -> None:
    manual, problems = read(HIERARCHY + AUDIT)
    assert not problems
    assert manual.audit is not None
    assert manual.audit.log == "app.trail"
    first, second = manual.audit.tables
    assert first == AuditedTable(
        name="users",
        must=True,
        secret=("password_hash", "totp"),
        kept=timedelta(days=365),
        entity="User",
        line=first.line,
    )
    assert (second.name, second.must, second.secret, second.kept, second.entity) == ("app.orders", False, (), None, "")
    assert manual.audit.table("users") is first


def test_users_are_read() -> None:
    manual, problems = read(HIERARCHY + USERS)
    assert not problems
    wiring = manual.users
    assert wiring is not None
    assert (wiring.table, wiring.key, wiring.email, wiring.role) == ("people", "id", "mail", "role")
    assert (wiring.password_hash, wiring.disabled, wiring.sign_up) == ("", "", ("COOK",))
    assert wiring.tenants.startswith("select user_id")


@pytest.mark.parametrize("title", ["Users", "Audit", "Audit log"])
def test_prose_under_these_headings_stays_prose(title: str) -> None:
    manual, problems = read(f"# {title}\n\nThey sign in by mail.\n")
    assert not problems
    assert (manual.users, manual.audit) == (None, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (AUDIT.replace("| must |", "| always |"), "'users' is recorded 'always'"),
        (AUDIT.replace("1 year", "a while"), "'a while' is not a duration"),
        (AUDIT.replace("app.orders", "users"), "the table 'users' is listed twice"),
        (AUDIT.replace("app.orders", "app.trail"), "the log app.trail can't be audited itself"),
        (AUDIT.replace("| Kept |", "| Hold |"), "the table lacks the column Kept"),
        (HIERARCHY + USERS.replace("| Role |", "| Rank |"), "'Rank' is nothing that is known of users"),
        (HIERARCHY + USERS.replace("| Key | id |\n", ""), "the users lack key"),
        (HIERARCHY + USERS.replace("| COOK |", "| CHEF |"), "the role at sign-up 'CHEF' is not in the hierarchy"),
        (HIERARCHY + USERS.replace("select user_id", "delete from staff; select user_id"), "the tenants: "),
        (USERS.replace("| Roles at sign-up | COOK |\n", ""), "there is no Role hierarchy"),
    ],
)
def test_a_wrong_one_is_told(text: str, told: str) -> None:
    assert any(told in one for one in read(text)[1]), read(text)[1]
