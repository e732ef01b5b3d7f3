"""Which kind of unknown a failure is."""

from __future__ import annotations

import psycopg
import pytest

from tabsync.kernel.errors import CannotConnect, NotAllowed, Refused
from tabsync.monitoring.unknown import kind_of

_REFUSED = "this statement may not be read-only: "


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (psycopg.errors.InsufficientPrivilege(), "hidden"),
        (psycopg.errors.UndefinedTable(), "hidden"),
        (psycopg.errors.UndefinedFunction(), "hidden"),
        (psycopg.errors.UndefinedColumn(), "hidden"),
        (psycopg.errors.FeatureNotSupported(), "hidden"),
        (psycopg.errors.ObjectNotInPrerequisiteState(), "hidden"),
        (psycopg.errors.LockNotAvailable(), "failed"),
        (psycopg.errors.QueryCanceled(), "failed"),
        (psycopg.errors.DivisionByZero(), "failed"),
        (psycopg.errors.AdminShutdown(), "failed"),
        (psycopg.OperationalError("the connection is lost"), "failed"),
        (ValueError("the query returned no rows"), "failed"),
        (NotAllowed("not allowed to look", "ask"), "hidden"),
        (CannotConnect("it does not answer", "look"), "failed"),
        (Refused(_REFUSED + "the function pg_stat_io does not exist here", ""), "hidden"),
        (Refused(_REFUSED + "the function a does not exist here; public.b is not one of PostgreSQL's", ""), "failed"),
        (Refused(_REFUSED + "public.pooler is not one of PostgreSQL's functions", ""), "failed"),
        (Refused("a pooler in transaction mode is in front of here", ""), "hidden"),
    ],
)
def test_a_failure_has_a_kind(failure: Exception, kind: str) -> None:
    assert kind_of(failure) == kind
