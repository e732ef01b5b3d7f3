"""What is asked of one side's table: digests over its rows by bucket, the rows of some buckets, values of a few rows.

Which bucket a row is in follows from its key alone (without a key, from all of the row), by a hash of the key's text.
So the rows of one key meet in one bucket, whatever the collations, versions and partitions of the two databases, and
nothing has to be in an order. For each bucket both sides give the number of its rows, and the sum of a 64-bit hash,
seeded for this run alone, of each row's SHA-256. Buckets that agree are taken for the same: that one which differs goes
unseen has a chance of 1 in 2^64. Of the others each row's key and SHA-256 are read.

No cast is used on a type that is not PostgreSQL's own: its owner could have made one. Output functions belong to
superusers: https://www.postgresql.org/docs/current/sql-createtype.html
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

from psycopg import sql

from tabsync.backups.restore.diff.tables import Pair, Part
from tabsync.copies.row_text import columns, matches, spelled

SHOWN = 200
"""Characters of a value that are shown."""

_SHA = sql.SQL("encode(sha256(record_send(row({}))), 'hex')")
_BUCKET = sql.SQL("({} & {})")
_HASH: LiteralString = 'hashtextextended({} collate "C", {})'
_HASH_INTEGER: LiteralString = "hashint8extended({}::int8 >> 9, {})"
_HASH_UUID: LiteralString = "uuid_hash_extended({}, {})"
"""Of a key of one column of such a type: the same for equal values everywhere, and without a detour by their text.

512 integers in a row are in one bucket, so rows that were written one after the other touch few buckets: of new rows at
the end of a table hardly more than themselves are read again, and the server's memory for the bucket is in its cache.
"""
_INTEGERS = {"smallint", "integer", "bigint"}
_SUMS = sql.SQL(
    'select {bucket} as b, count(*), sum(hashtextextended(r.h collate "C", {seed}))'
    " from (select {key} as k, {sha} as h from only {table} as t{where} offset 0) as r group by 1"
)
_COPY = sql.SQL("copy (select b, string_agg(l, ' ') from ({}) as r group by b order by b) to stdout")
_LINES = sql.SQL(
    "select {bucket} as b, {sha} || encode(convert_to({key}, 'UTF8'), 'hex') as l from only {table} as t"
    " where {bucket} = any({buckets})"
)
_WHOLE_LINES = sql.SQL(
    "select * from (select {bucket} as b, h as l from (select {sha} as h from only {table} as t offset 0) as r) as s"
    " where b = any({buckets})"
)
_RECODED = sql.SQL("encode(convert_to({}, 'UTF8'), 'hex')")
_RANGE = sql.SQL(" where t.ctid >= {}::tid and t.ctid < {}::tid")
_REST = sql.SQL(" where t.ctid >= {}::tid")
_BY_KEY = sql.SQL(
    "select k.n{shown} from unnest({arrays}) with ordinality as k({numbers}, n) join only {table} as t on {pairs}"
)
_BY_SHA = sql.SQL(
    "select array_position($1::text[], {sha}){shown} from only {table} as t where {sha} = any($1::text[])"
)
_VALUE = sql.SQL(", left({}, {}), encode(sha256(convert_to({}, 'UTF8')), 'hex')")
_TEXT = sql.SQL("case when num_nulls({0}) = 0 then format('%s', {0}) end")


def _seed() -> int:
    return secrets.randbits(63)


@dataclass(frozen=True, slots=True)
class Hashing:
    """How the rows of a table are hashed on both sides.

    buckets: how many, a power of two; recode: the databases are in two encodings; place, seed: nobody knows them
    beforehand, so nobody can have chosen rows that go unseen.
    """

    pair: Pair
    buckets: int
    recode: bool = False
    place: int = field(default_factory=_seed)
    seed: int = field(default_factory=_seed)

    def sums(self, part: Part, first: int = 0, end: int | None = None) -> sql.Composed:
        """The digests of the rows in some blocks of a part: bucket, rows, sum."""
        where: sql.Composable = sql.SQL("")
        if end is not None:
            where = _RANGE.format(sql.Literal(f"({first},0)"), sql.Literal(f"({end},0)"))
        elif first:
            where = _REST.format(sql.Literal(f"({first},0)"))
        return _SUMS.format(
            seed=sql.Literal(self.seed),
            bucket=self._bucket(sql.SQL("r.k") if self.pair.key else sql.SQL("r.h")),
            key=self._hashed_key() if self.pair.key else sql.SQL("null::text"),
            sha=self.sha(),
            table=part.relation.identifier(),
            where=where,
        )

    def rows(self, parts: Iterable[Part], buckets: Iterable[int]) -> sql.Composed:
        """COPY of some buckets, in their order: the bucket, and of each row its SHA-256 and its key's text, in hex."""
        listed = sql.SQL("{}::int8[]").format(sql.Literal("{" + ",".join(map(str, sorted(buckets))) + "}"))
        each = [self._lines(one, listed) for one in parts]
        return _COPY.format(sql.SQL(" union all ").join(each))

    def sha(self) -> sql.Composed:
        """The SHA-256 of a row: of what its types send, where that is the same everywhere, and else of their text."""
        plain = [one for one in self.pair.columns if one in self.pair.binary]
        other = [one for one in self.pair.columns if one not in self.pair.binary]
        parts = [columns(plain, "t")] if plain else []
        # What is sent of a record names the types by their number, which of other types differs between databases.
        parts += [sql.SQL("row({})::text").format(columns(other, "t"))] if other else []
        return _SHA.format(sql.SQL(", ").join(parts))

    @property
    def plain_key(self) -> bool:
        """Whether the text of a key is that of its only column, and not of a record."""
        names, pair = self.pair.key, self.pair
        return len(names) == 1 and pair.new.column(names[0]).own and pair.old.column(names[0]).own

    def _lines(self, part: Part, buckets: sql.Composable) -> sql.Composed:
        table = part.relation.identifier()
        if not self.pair.key:
            bucket = self._bucket(sql.SQL("r.h"))
            return _WHOLE_LINES.format(bucket=bucket, sha=self.sha(), table=table, buckets=buckets)
        bucket, key = self._bucket(self._hashed_key()), self._key()
        return _LINES.format(bucket=bucket, sha=self.sha(), key=key, table=table, buckets=buckets)

    def _key(self) -> sql.Composed:
        if self.plain_key:
            return sql.SQL("t.{}::text").format(sql.Identifier(self.pair.key[0]))
        return sql.SQL("row({})::text").format(columns(self.pair.key, "t"))

    def _hashed_key(self) -> sql.Composed:
        """What the hash is made of: of some types the key itself, else its text, in one encoding."""
        if self._hash is not _HASH:
            return columns(self.pair.key, "t")
        return _RECODED.format(self._key()) if self.recode else self._key()

    @property
    def _hash(self) -> LiteralString:
        types = {side.column(name).type for side in (self.pair.new, self.pair.old) for name in self.pair.key}
        if not self.plain_key or not (types <= _INTEGERS or types == {"uuid"}):
            return _HASH
        return _HASH_INTEGER if types <= _INTEGERS else _HASH_UUID

    def _bucket(self, key: sql.Composable) -> sql.Composed:
        function = self._hash if self.pair.key else _HASH
        return _BUCKET.format(sql.SQL(function).format(key, sql.Literal(self.place)), sql.Literal(self.buckets - 1))


def by_key(
    part: Part, names: Sequence[str], types: Sequence[str], equal: Sequence[str], *, key: Sequence[str]
) -> sql.Composed:
    """The rows of some keys, $1, $2, ...: the number of each from 1, and some columns. types: of the key's columns."""
    numbers = [f"k{number}" for number in range(len(key))]
    arrays = (sql.SQL("${}::{}[]").format(spelled(str(at)), spelled(one)) for at, one in enumerate(types, start=1))
    return _BY_KEY.format(
        shown=_shown(names),
        arrays=sql.SQL(", ").join(arrays),
        numbers=columns(numbers),
        table=part.relation.identifier(),
        pairs=matches("t", key, "k", numbers, equal),
    )


def by_sha(hashing: Hashing, part: Part, names: Sequence[str]) -> sql.Composed:
    """The rows of some SHA-256, $1: the number of it from 1, and some columns. It reads all of the table."""
    return _BY_SHA.format(sha=hashing.sha(), shown=_shown(names), table=part.relation.identifier())


def _shown(names: Sequence[str]) -> sql.Composed:
    """Values as they are shown: of each its first characters and, to compare by, the SHA-256 of its text."""
    pairs = []
    for name in names:
        text = _TEXT.format(sql.Identifier("t", name))
        pairs.append(_VALUE.format(text, sql.Literal(SHOWN), text))
    return sql.SQL("").join(pairs)
