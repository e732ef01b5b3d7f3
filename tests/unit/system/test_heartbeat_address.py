"""Where a ping goes: /start and /fail are of the path, also where a query follows."""

from __future__ import annotations

import pytest

from tabsync.service.heartbeat import Heartbeat, _address


@pytest.mark.parametrize(
    ("url", "what", "address"),
    [
        ("https://hc.example/abc", "", "https://hc.example/abc"),
        ("https://hc.example/abc/", "start", "https://hc.example/abc/start"),
        ("https://kuma.example/push/k?status=up", "fail", "https://kuma.example/push/k/fail?status=up"),
        ("https://kuma.example/push/k?status=up", "", "https://kuma.example/push/k?status=up"),
    ],
)
def test_where_a_ping_goes(url: str, what: str, address: str) -> None:
    assert _address(url, what) == address


def test_what_is_no_url_is_said_without_its_secret() -> None:
    beat = Heartbeat("http://[oops/secret")
    beat.ping()
    beat.flush()
    assert beat.failed
    assert "secret" not in beat.failed
