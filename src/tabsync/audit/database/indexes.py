"""The indexes that reading the log needs, beside its key (id, created_at), and (xid, id) for the seals.

Every entry that is written pays for them, so two of them hardly cost anything: `rare` has the few entries that are no
INSERT and no UPDATE, and `seen` is a BRIN index, a summary of each 32 pages, which is written once these are full. What
is frequent is found in the newest entries by the key; for what is rare `seen` tells which pages can have it.
`entity_id` is the seed's own.
https://www.postgresql.org/docs/current/brin.html
"""

_FEW, _MANY = (f"text_bloom_ops (n_distinct_per_range = {number})" for number in (64, 1000))
"""How many values the 1,000 entries of 32 pages may have: tables, roles, applications; and people."""

READING = {
    "rare": "(action, id) where action not in ('INSERT', 'UPDATE')",
    "seen": (
        f"using brin (id, created_at, table_name {_FEW}, actor {_MANY}, db_user {_FEW}, app {_FEW})"
        " with (pages_per_range = 32, autosummarize = on)"
    ),
}
"""By the ending of their name, what follows CREATE INDEX ... ON the log.

--table, --by, --app: seen; --action: rare, or the key; --since, --until: seen, partitions; --transaction: (xid, id);
--key: entity_id; restore rows: rare, entity_id, (xid, id).
"""
