"""Supabase on the loopback, and the environment that leads there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tabsync.providers import http
from tests.postgres.providers.supabase import TOKEN, Api, serving
from tests.postgres.providers.supabase_metrics import KEY, Metrics
from tests.postgres.providers.supabase_metrics import serving as serving_metrics


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A management API, and everything set so that ours asks it."""
    with serving() as one:
        monkeypatch.setenv("TABSYNC_SUPABASE_URL", one.url)
        monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", TOKEN)
        monkeypatch.setattr(http, "PAUSE", 0.001)
        yield one


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    """A Metrics API, and everything set so that ours asks it."""
    with serving_metrics() as one:
        monkeypatch.setenv("TABSYNC_SUPABASE_METRICS_URL", one.url)
        monkeypatch.setenv("SUPABASE_SECRET_KEY", KEY)
        monkeypatch.delenv("SUPABASE_SERVICE_ROLE_KEY", raising=False)
        yield one
