"""What init looks at, and the two files it makes of that: pure texts from facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabsync.kernel.step import Facts
from tabsync.postgres import catalog
from tabsync.postgres.catalog import Relation
from tabsync.postgres.connect import Connection, without_secrets

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is in a database that a manual speaks of."""

    identity: Facts
    provider: str
    key_tables: tuple[Relation, ...]
    enums: tuple[Facts, ...]
    roles: tuple[str, ...]
    bytes: int


def look(connection: Connection) -> Findings:
    """Read the catalog; nothing is changed."""
    return Findings(
        identity=catalog.identity(connection),
        provider=catalog.provider(connection),
        key_tables=tuple(catalog.key_tables(connection)),
        enums=tuple(catalog.enums(connection)),
        roles=tuple(catalog.roles(connection)),
        bytes=int(catalog.database_facts(connection)["bytes"]),
    )


def config_text(conninfo: str) -> str:
    """tabsync.toml for a database. A password in the connection string is left out: it belongs into ~/.pgpass."""
    return _templates().get_template("tabsync.toml").render(conninfo=without_secrets(conninfo))


def manual_text(findings: Findings) -> str:
    """manual.md fitted to what was found."""
    return _templates().get_template("manual.md").render(found=findings, sql_list=sql_list)


def sql_list(names: Sequence[str]) -> str:
    """Names as a readable list."""
    return ", ".join(f"`{name}`" for name in names)


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - it writes Markdown and TOML, nothing here is HTML
        loader=PackageLoader(__package__), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters["cell"] = _cell
    environment.filters["toml"] = _toml
    return environment


def _cell(value: object) -> str:
    # A name from the database in a Markdown table: a pipe or a line break in it would end the cell.
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").split())


def _toml(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
