"""The sections Audit and Users: which changes are written down, and where the database keeps its people."""

from __future__ import annotations

import re

from tabsync.manual.sections import Problem, Section, line_of, text_of
from tabsync.manual.tables import duration_in, names_in, records
from tabsync.manual.thresholds import NO_BOUND
from tabsync.manual.wiring import Audit, AuditedTable, UserWiring

LOG = "audit_logs"
"""The log's table where the manual names none."""

_LOG = re.compile(r"Log:\s*(\S+)", re.IGNORECASE)
_RECORDED = {"must": True, "when possible": False}
_FOR_EVER = NO_BOUND | {"for ever", "forever"}
_PLACES = {
    "table": "table",
    "key": "key",
    "e-mail": "email",
    "email": "email",
    "password hash": "password_hash",
    "name": "name",
    "role": "role",
    "verified": "verified",
    "disabled": "disabled",
    "roles at sign-up": "sign_up",
}
_NEEDED = ("table", "key", "email", "role")


def has_table(section: Section) -> bool:
    """Whether a section is one of these at all: people's manuals have headings such as "Users" over prose."""
    return next(section.of_type("table"), None) is not None


def audit(section: Section, problems: list[Problem]) -> Audit:
    """The audited tables, and the line `Log: ...`."""
    said = [match[1] for node in section.of_type("paragraph") if (match := _LOG.match(text_of(node)))]
    tables: list[AuditedTable] = []
    for line, row in records(section, ("Table", "Recorded", "Secret columns", "Kept"), problems, ("Entity",)):
        recorded = row["recorded"].lower()
        if recorded not in _RECORDED:
            what = f"{row['table']!r} is recorded {row['recorded']!r}"
            problems.append(Problem(line, what, "must (a change that can't be recorded fails), or when possible"))
        if any(one.name == row["table"] for one in tables):
            problems.append(Problem(line, f"the table {row['table']!r} is listed twice", "each table once"))
            continue
        ever = row["kept"].lower() in _FOR_EVER
        tables.append(
            AuditedTable(
                name=row["table"],
                must=_RECORDED.get(recorded, True),
                secret=names_in(row["secret columns"]),
                kept=None if ever else duration_in(row["kept"], line, problems),
                entity="" if row["entity"].lower() in NO_BOUND else row["entity"],
                line=line,
            )
        )
    return Audit(log=said[0] if said else LOG, tables=tuple(tables), line=section.line)


def users(section: Section, problems: list[Problem]) -> UserWiring | None:
    """Where users are kept: a table What | Where, and in a `sql` block the tenants of each."""
    found: dict[str, str] = {}
    for line, row in records(section, ("What", "Where"), problems):
        name = _PLACES.get(row["what"].lower())
        if name is None:
            known = "Table, Key, E-mail, Password hash, Name, Role, Verified, Disabled, Roles at sign-up"
            problems.append(Problem(line, f"{row['what']!r} is nothing that is known of users", known))
        elif row["where"].lower() not in NO_BOUND:
            found[name] = row["where"]
    if lacking := [name for name in _NEEDED if name not in found]:
        problems.append(Problem(section.line, f"the users lack {', '.join(lacking)}", "Table, Key, E-mail and Role"))
        return None
    blocks = [node for node in section.of_type("fence") if node.info.strip().lower() == "sql"]
    tenants = (blocks[0].content.strip(), line_of(blocks[0]) + 1) if blocks else ("", 0)
    sign_up = names_in(found.pop("sign_up", ""))
    return UserWiring(**found, sign_up=sign_up, tenants=tenants[0], tenants_line=tenants[1], line=section.line)
