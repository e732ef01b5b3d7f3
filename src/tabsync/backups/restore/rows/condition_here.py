"""A condition that the database itself may evaluate: columns, values, comparisons, and functions that only compute.

A condition for a copy may be any SQL, since the copy is thrown away. Rows from the audit log are chosen in the database
that people use, with the rights of whoever restores. So nothing may be called there that does anything but compute, and
only what is on these lists is let through: https://www.postgresql.org/docs/current/functions.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from tabsync.backups.restore.rows.condition import Token, tokens_of, why_not
from tabsync.kernel.errors import BadUsage


def _all(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = _all(
    """
    all and any array as at between both case cast current_date current_timestamp distinct else end escape false
    for from ilike in is isnull leading like localtimestamp not notnull null or overlaps similar some symmetric
    then time to trailing true unknown when zone century day decade dow doy epoch hour isodow isoyear
    microseconds millennium milliseconds minute month quarter second week year
    """
)
_TYPES = _all(
    """
    bigint bit bool boolean bytea char character cidr date decimal double float float4 float8 inet int int2 int4
    int8 integer interval json jsonb money name numeric precision real smallint text timestamp timestamptz
    timetz uuid varchar varying with without
    """
)
_FUNCTIONS = _all(
    """
    abs age array_length array_position array_to_string btrim cardinality ceil ceiling char_length coalesce
    concat concat_ws date_part date_trunc extract floor greatest host initcap json_array_length
    json_extract_path_text json_typeof jsonb_array_length jsonb_extract_path_text jsonb_typeof least left length
    lower ltrim make_date make_interval make_timestamp make_timestamptz md5 mod now nullif octet_length position
    power replace reverse right round row rtrim sign split_part sqrt starts_with string_to_array strpos substr
    substring to_char to_date to_number to_timestamp trim trunc upper
    """
)
_CHARACTERS = frozenset("0123456789.,()[]:")
_HINT = (
    "with --from audit a condition has columns, values, comparisons and plain functions; or use a backup: --from latest"
)


def check_here(condition: str, table: str, columns: Iterable[str]) -> None:
    """See that a condition is of columns, values, comparisons and known functions only.

    table: its name without the schema; columns: those that may be named. Raises BadUsage with what is not known.
    """
    if why := why_not(condition):
        raise BadUsage(f"the condition can't be read: {why}", "write it in quotes: --where \"name = 'Ann'\"")
    found = tokens_of(condition)
    known = {*columns}
    for number, token in enumerate(found):
        before = found[number - 1].text if number else ""
        after = found[number + 1] if number + 1 < len(found) else Token("", "")
        if token.kind == "word":
            _check_word(token.text.lower(), before, after, table, known)
        elif token.kind == "quoted":
            _check_column(token.text[1:-1].replace('""', '"'), before, after, table, known)
        elif token.kind == "other" and token.text not in _CHARACTERS:
            raise BadUsage(f"the condition contains {token.text!r}", _HINT)


def keys_asked(condition: str, key: str, kind: str) -> list[str] | None:
    """The keys that a condition can be true for, as the log spells them; None when that can't be told.

    key, kind: the column and its type. That it is one of several conditions, joined by AND, is seen.
    """
    parts = _joined_by_and(tokens_of(condition))
    for part in parts:
        values = _values_of(part, key)
        spelled = [_spelled(one, kind) for one in values or ()]
        if values and None not in spelled:
            return [one for one in spelled if one is not None]
    return None


def _check_word(word: str, before: str, after: Token, table: str, columns: set[str]) -> None:
    called = after.text == "("
    if called and before != "." and word in _FUNCTIONS | _TYPES | _WORDS and word not in columns:
        return
    if called:
        raise BadUsage(f"the condition calls {word}()", _HINT)
    if before == "." or after.text == "." or word in columns:
        _check_column(word, before, after, table, columns)
    elif word not in _WORDS | _TYPES and not (word == "e" and after.kind == "string"):
        named = ", ".join(sorted(columns))
        raise BadUsage(f"the condition names {word!r}, which is no column of {table}", f"columns: {named}")


def _check_column(name: str, before: str, after: Token, table: str, columns: set[str]) -> None:
    if after.text == "(":
        raise BadUsage(f"the condition calls {name}()", _HINT)
    if after.text == "." and before != ".":
        if name != table:
            raise BadUsage(f"the condition names {name!r}, and rows come from {table}", f"write {table}.COLUMN")
    elif after.text == "." or name not in columns:
        named = ", ".join(sorted(columns))
        raise BadUsage(f"the condition names {name!r}, which is no column of {table}", f"columns: {named}")


def _joined_by_and(found: Sequence[Token]) -> list[list[Token]]:
    """The parts of a condition that must all be true; none when it is not of that form."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        word = token.text.lower() if token.kind == "word" else ""
        if depth == 0 and word in ("or", "between", "not", "case"):
            return []  # an AND may belong to these
        if depth == 0 and word == "and":
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _values_of(part: Sequence[Token], key: str) -> list[str] | None:
    """The values of `key = 'a'`, `key = 7` or `key in ('a', 'b')`; None when a part is neither."""
    if len(part) < 3 or _name(part[0]) != key:
        return None
    rest = list(part[1:])
    if rest[0].text == "=":
        return _listed(rest[1:], commas=False)
    if rest[0].text.lower() == "in" and rest[1].text == "(" and rest[-1].text == ")":
        return _listed(rest[2:-1], commas=True)
    return None


def _listed(found: Sequence[Token], *, commas: bool) -> list[str] | None:
    values: list[str] = []
    fresh = True
    for token in found:
        if token.kind == "string" and token.text[0] == "'" and fresh:
            values.append(token.text[1:-1].replace("''", "'"))
            fresh = False
        elif token.kind == "other" and token.text.isdecimal() and token.text.isascii():
            values = [*values, token.text] if fresh else [*values[:-1], values[-1] + token.text]
            fresh = False
        elif commas and token.text == "," and not fresh:
            fresh = True
        else:
            return None
    return None if fresh else values


def _name(token: Token) -> str:
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return token.text.lower() if token.kind == "word" else ""


def _spelled(value: str, kind: str) -> str | None:
    """A value as its type's output function spells it; None for a type of which that isn't known here."""
    try:
        if kind == "uuid":
            return str(UUID(value))
        if kind in ("smallint", "integer", "bigint"):
            return str(int(value))
    except ValueError:
        return None
    return value if kind in ("text", "character varying") else None
