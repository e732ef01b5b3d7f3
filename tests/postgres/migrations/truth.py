"""What really is in a database, whatever we say of it: the rows of its catalogs and tables themselves."""

from __future__ import annotations

import psycopg
from psycopg import sql

_VOLATILE = [
    "relpages",
    "reltuples",
    "relallvisible",
    "relallfrozen",
    "relfrozenxid",
    "relminmxid",
    "relfilenode",
    "reltoastrelid",
    "relhastriggers",
    "relhasindex",
    "relhasrules",
    "relhassubclass",
    "attmissingval",
    "atthasmissing",
    "indcheckxmin",
    "attcacheoff",
    "attnum",
    "relnatts",
]
"""What nobody sees: statistics, files, and hints that are true for a while after their reason is gone."""

_CATALOGS = {
    **dict.fromkeys(
        [
            "pg_class",
            "pg_attrdef",
            "pg_constraint",
            "pg_type",
            "pg_proc",
            "pg_trigger",
            "pg_policy",
            "pg_rewrite",
            "pg_statistic_ext",
            "pg_collation",
            "pg_operator",
            "pg_event_trigger",
            "pg_authid",
        ],
        "oid",
    ),
    "pg_attribute": "attrelid",
    "pg_index": "indexrelid",
    "pg_inherits": "inhrelid",
    "pg_description": "objoid",
    "pg_sequence": "seqrelid",
    "pg_partitioned_table": "partrelid",
    "pg_aggregate": "aggfnoid",
    "pg_namespace": "",
    "pg_extension": "",
    "pg_publication": "",
    "pg_default_acl": "",
    "pg_enum": "",
}
"""Each with the column that tells what is no part of PostgreSQL."""

_ONE = "select {}, md5(coalesce(string_agg(r, '|' order by r), '')) from (select ({})::text as r from {} t {}) s"


def _all() -> str:
    parts = []
    for name, key in _CATALOGS.items():
        where = f"where t.{key}::oid >= 16384" if key else ""
        where += " and t.attnum > 0 and not t.attisdropped" if name == "pg_attribute" else ""
        gone = ", ".join(f"'{one}'" for one in _VOLATILE)
        row = "t.aggfnoid::oid" if name == "pg_aggregate" else f"to_jsonb(t) - array[{gone}]"
        parts.append(_ONE.format(f"'{name}'", row, f"pg_catalog.{name}", where))
    return " union all ".join(parts)


def catalog(session: psycopg.Connection) -> dict[str, str]:
    """A digest of the rows of each catalog, without what nobody sees."""
    return dict(session.execute(_all().encode()).fetchall())


def rows(session: psycopg.Connection) -> dict[str, str]:
    """The same of every table. Where sequences are is no matter of transactions."""
    names = session.execute(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
    ).fetchall()
    parts = (_ONE.format(sql.Literal(one).as_string(session), "t", one, "") for (one,) in names)
    return dict(session.execute(" union all ".join(parts).encode()).fetchall())
