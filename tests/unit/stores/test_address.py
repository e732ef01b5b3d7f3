"""Addresses of stores: what they mean, and that a credential in one is refused without being repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.stores.address import SCHEMES, Address, is_of_kind, is_own, parse_address

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1)
prefixes = st.lists(names, max_size=4).map("/".join)


@given(st.sampled_from(sorted(SCHEMES)), names, prefixes)
def test_an_address_reads_back_as_it_was_written(scheme: str, container: str, prefix: str) -> None:
    address = Address(scheme, container, prefix)
    assert parse_address(str(address)) == address
    assert parse_address(f"{address}/") == address


@pytest.mark.parametrize(
    ("text", "path"),
    [("backups", "backups"), ("/var/backups", "/var/backups"), ("file:///var/my%20backups", "/var/my backups")],
)
def test_what_has_no_scheme_is_a_directory(text: str, path: str) -> None:
    assert parse_address(text) == Path(path)


@pytest.mark.parametrize("text", ["ftp://host/x", "AZ://c", "://x", "az://", "s3:///x", "s3://b/a//b", "gs://b/../x"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadUsage):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://key:hunter2@bucket/x",
        "az://container/x?sig=hunter2",
        "gs://bucket#hunter2",
        "az://[hunter2",
    ],
)
def test_a_credential_in_an_address_is_never_repeated(text: str) -> None:
    with pytest.raises(TabsyncError) as told:
        parse_address(text)
    assert "hunter2" not in f"{told.value.fact} {told.value.hint}"


@pytest.mark.parametrize(
    ("name", "own", "kinds"),
    [
        ("Azure Blob Storage", True, ["az"]),
        ("Azure database snapshots", False, ["az"]),
        ("Local", True, ["file"]),
        ("S3 (Frankfurt)", True, ["s3"]),
        ("Google Cloud Storage", True, ["gs"]),
        ("Supabase", False, []),
    ],
)
def test_a_store_is_recognised_by_what_a_manual_calls_it(name: str, own: bool, kinds: list[str]) -> None:
    assert is_own(name) is own
    assert [one for one in ("file", *SCHEMES) if is_of_kind(f"{one}://x/y", name)] == kinds
