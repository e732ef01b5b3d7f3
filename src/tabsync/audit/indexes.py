"""The indexes that reading the log needs, beside its key (id, created_at), and (xid, id) for the seals.

Every entry that is written pays for them, so two of them hardly cost anything: `rare` has the few entries that are no
INSERT and no UPDATE, and `seen` is a BRIN index, a summary of each 32 pages, which is written once these are full. What
is frequent is found in the newest entries by the key; for what is rare `seen` tells which pages can have it.
`entity_id` is the seed's own.
https://www.postgresql.org/docs/current/brin.html
"""

_BLOOM = "text_bloom_ops (n_distinct_per_range = 64)"

READING = {
    "rare": "(id) where action not in ('INSERT', 'UPDATE')",
    "seen": (
        f"using brin (id, created_at, table_name {_BLOOM}, actor {_BLOOM}, db_user {_BLOOM}, app {_BLOOM})"
        " with (pages_per_range = 32, autosummarize = on)"
    ),
}
"""By the ending of their name, what follows CREATE INDEX ... ON the log.

--table, --by, --app: seen; --action: rare, or the key; --since, --until: seen, partitions; --transaction: (xid, id);
--key: entity_id; restore rows: rare, entity_id, (xid, id).
"""
