"""What init looks at, and the two files it makes of that: pure texts from facts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tabsync.init.people import People, look_for_people
from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection
from tabsync.postgres.conninfo import without_secrets
from tabsync.system.zone import zone_name

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is in a database that a manual speaks of. zone: of this machine, "" when it has no name;
    people: where its users seem to be."""

    identity: Facts
    provider: str
    key_tables: tuple[Relation, ...]
    enums: tuple[Facts, ...]
    roles: tuple[str, ...]
    bytes: int
    zone: str = "UTC"
    people: People | None = None


def look(connection: Connection) -> Findings:
    """Read the catalog; nothing is changed."""
    return Findings(
        identity=catalog.identity(connection),
        provider=catalog.provider(connection),
        key_tables=tuple(catalog.key_tables(connection)),
        enums=tuple(catalog.enums(connection)),
        roles=tuple(catalog.roles(connection)),
        bytes=int(catalog.database_facts(connection)["bytes"]),
        zone=zone_name(),
        people=look_for_people(connection),
    )


def config_text(conninfo: str) -> str:
    """tabsync.toml for a database. A password in the connection string is left out: it belongs into ~/.pgpass."""
    return _templates().get_template("tabsync.toml").render(conninfo=without_secrets(conninfo))


def manual_text(findings: Findings) -> str:
    """manual.md fitted to what was found."""
    # A name with a line break in it can't stand in Markdown and be read back: its table is left to the person.
    key_tables = [str(table) for table in findings.key_tables if str(table).isprintable()]
    zone = f" {findings.zone}" if findings.zone else ""  # without one, the schedule means this machine's
    return _templates().get_template("manual.md").render(found=findings, key_tables=key_tables, zone=zone)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - it writes Markdown and TOML, nothing here is HTML
        loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"line": _line, "code": _code, "code_cell": _code_cell, "toml": _toml}
    return environment


def _line(value: object) -> str:
    # What the database says, as prose: a line break in it would end the paragraph and begin anything.
    return " ".join(str(value).split())


def _code(value: object) -> str:
    # A name of the database is code, so that nothing in it is markup; the marks are longer than any in the name.
    text = "".join(sign if sign.isprintable() else " " for sign in str(value))
    marks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text[:1] in "` " or text[-1:] in "` " else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def _code_cell(value: object) -> str:
    return _code(value).replace("|", "\\|")  # in a table even code needs this


def _toml(value: str) -> str:
    # JSON's escapes are TOML's too; of the signs that TOML wants escaped, JSON leaves only DEL as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
