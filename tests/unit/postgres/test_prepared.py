"""What a person copies to end a prepared transaction: never more than its name."""

from __future__ import annotations

import pytest

from tabsync.maintenance.horizon import remedy
from tabsync.postgres.prepared import BY_HAND, rollback


@pytest.mark.parametrize(
    ("gid", "copied"),
    [
        ("order-1", "rollback prepared 'order-1'"),
        ("it's paid", "rollback prepared 'it''s paid'"),
        ("x'; drop table users; --", "rollback prepared 'x''; drop table users; --'"),
        ("größe 1", "rollback prepared 'größe 1'"),
    ],
)
def test_a_name_is_one_literal(gid: str, copied: str) -> None:
    assert rollback(gid) == copied
    assert remedy({"kind": "prepared transaction", "name": gid}) == copied


@pytest.mark.parametrize("gid", ["", "a\nb", "a\tb", "a  b", " a", "\\xe9", "a\u202eb", "\x1b[2J"])
def test_a_name_that_would_not_be_copied_as_it_is(gid: str) -> None:
    assert rollback(gid).endswith(BY_HAND)
