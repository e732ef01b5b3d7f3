"""The names of types as PostgreSQL itself writes them. https://www.postgresql.org/docs/current/datatype.html"""

from __future__ import annotations

from tabsync.migrations.changes.reader import Reader

_PLAIN = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "varchar": "character varying",
    "char": "character",
    "bpchar": "character",
    "decimal": "numeric",
    "dec": "numeric",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "varbit": "bit varying",
}
_SAME = frozenset(
    [
        "integer",
        "bigint",
        "smallint",
        "boolean",
        "real",
        "numeric",
        "text",
        "bytea",
        "date",
        "json",
        "jsonb",
        "uuid",
        "inet",
        "cidr",
        "macaddr",
        "interval",
        "xml",
        "money",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "tsvector",
        "tsquery",
        "oid",
        "name",
        "regclass",
        "int4range",
        "int8range",
        "numrange",
        "tsrange",
        "tstzrange",
        "daterange",
        "character",
        "bit",
        "void",
        "trigger",
        "event_trigger",
        "record",
        "anyelement",
        "anyarray",
        "jsonpath",
        "pg_lsn",
    ]
)
_TIMES = ("timestamp", "time")


def type_name(read: Reader, *, arguments: bool = True) -> str:
    """Read a type, and give it as format_type() does; a type of the application's as schema.name or .name.

    arguments: with its length or precision. "" when it isn't one, or not for sure.
    """
    word, quoted = read.peek().text, read.peek().kind == "quoted"
    schema, name = read.qualified()
    if not name:
        return ""
    own = quoted or (schema and schema != "pg_catalog")
    found = _own(schema, name) if own else _known(read, word if not schema else name)
    if not found:
        return ""
    found = _with_arguments(read, found, name=name, kept=arguments) if not own or _has_arguments(read) else found
    while found and read.punct("["):
        _ = read.peek().kind == "number" and read.punct(read.peek().text)
        if read.peek().kind == "number":
            read.at += 1
        if not read.punct("]"):
            return ""
        found = found.removesuffix("[]") + "[]"
    if found and read.take("array"):
        return "" if read.punct("[") else found + "[]"
    return found


def same_type(wanted: str, found: str, path: tuple[str, ...]) -> bool | None:
    """Whether a type that was written is the one that the catalog has; None when it can't be told."""
    if "." not in wanted:
        return wanted == found
    array = wanted.endswith("[]")
    if array != found.endswith("[]"):
        return False
    schema, _, name = wanted.removesuffix("[]").partition(".")
    owner, dot, plain = _parts(found.removesuffix("[]"))
    if not dot:
        return plain == name if schema in ("", "pg_catalog") and "." not in name else False
    if plain != name:
        return False
    return (owner == schema) if schema else (owner in path or None)


def _parts(text: str) -> tuple[str, str, str]:
    """The schema, the dot and the name of what format_type() gives."""
    from tabsync.migrations.histories.script import statements

    parsed = statements(text)
    if len(parsed) != 1:
        return "", "", text
    read = Reader(parsed[0].tokens)
    schema, name = read.qualified()
    return (schema, "." if schema else "", name) if read.done else ("", "", text)


def _own(schema: str, name: str) -> str:
    return f"{schema}.{name}"


def _known(read: Reader, word: str) -> str:
    if word == "double":
        return "double precision" if read.take("precision") else ""
    if word in ("character", "char", "bit") and read.take("varying"):
        return "bit varying" if word == "bit" else "character varying"
    if word == "national":
        return ""
    if word in _PLAIN:
        return _PLAIN[word]
    return word if word in _SAME else _own("", word)


def _has_arguments(read: Reader) -> bool:
    return read.peek().text == "(" and read.peek().kind == "punct"


def _with_arguments(read: Reader, found: str, *, name: str, kept: bool) -> str:
    """With (10, 2), and WITH TIME ZONE. Of a type of the application's, what they mean is its own affair."""
    inner = read.parenthesized() if _has_arguments(read) else None
    values = [one.text for one in inner.tokens if one.kind == "number"] if inner else []
    if name in _TIMES:
        if read.take("with", "time", "zone"):
            found = f"{name} with time zone"
        else:
            _ = read.take("without", "time", "zone")
    if inner is None:
        bare = found in ("character", "bit") and name not in ("bpchar",) and kept
        return f"{found}(1)" if bare else found
    if "." in found or name == "float" or not values or found == "interval":
        return "" if kept else found
    if not kept:
        return found
    if found == "numeric" and len(values) == 1:
        values.append("0")
    first, space, rest = found.partition(" ")
    if first in _TIMES:
        return f"{first}({values[0]}){space}{rest}"
    return f"{found}({','.join(values)})"
