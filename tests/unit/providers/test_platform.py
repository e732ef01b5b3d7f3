"""What is a provider's in a database: data, and nothing of the application's among it."""

from __future__ import annotations

from tabsync.providers.platform import platform_of, platform_schemas


def test_supabase_s_schemas_are_known() -> None:
    schemas = platform_schemas("Supabase")
    assert {"auth", "storage", "realtime", "_realtime", "vault", "graphql", "pgsodium", "supabase_functions"} <= schemas
    # Tables of the application use what these hold.
    assert not {"public", "extensions", "information_schema"} & schemas
    assert not [name for name in schemas if name.startswith("pg_")]
    assert "supabase_admin" in platform_of("Supabase").roles
    assert not {"postgres", "anon", "authenticated", "service_role"} & platform_of("Supabase").roles


def test_who_runs_a_server_himself_has_none() -> None:
    assert platform_schemas("self-hosted") == frozenset()
