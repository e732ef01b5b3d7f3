"""A runbook that is run keeps an incident."""

from __future__ import annotations

from typing import Any

from tests.conftest import run_sql
from tests.postgres.runbooks.place import Place

_METRIC = (
    "#### Open shops\n\nUnit: count of shops\nEvery: 1 s\n\n```sql\nselect count(*) as value from shops where is_open\n"
    "```\n\n"
)
_HEAD = "#### Too slow\n\nRecovers: Open shops < 1 for 1 s\n\n"
_CLOSES = "1. Close them.\n   ```sql write\n   update shops set is_open = false\n   ```\n"


def incidents(ground: Place) -> list[Any]:
    found: list[Any] = ground.run("incident", "list", "--json").json["incidents"]
    return found


def test_it_opens_one_and_says_when_it_has_helped(ground: Place) -> None:
    run_sql(ground.conninfo, "create table shops as select true as is_open")
    ground.manual(_CLOSES, _HEAD, _METRIC)
    ended = ground.run("runbook", "run", "too slow", "--yes", "--json")
    assert (ended.code, ended.json["state"]) == (0, "done")
    (one,) = incidents(ground)
    assert (one["title"], one["state"], one["severity"]) == ("Too slow", "mitigated", "critical")
    assert one["runs"] == [ended.json["run"]]
    lines = ground.run("incident", "show", "--json").json["timeline"]
    assert [line["kind"] for line in lines] == ["opened", "step", "mitigated"]
    assert "Close them: done" in lines[1]["text"]
    assert "Open shops" in lines[2]["text"]


def test_a_second_one_joins_it(ground: Place) -> None:
    ground.manual("1. Tell the owners.\n")
    ground.run("incident", "open", "Everything is slow")
    begun = ground.run("runbook", "run", "too slow", "--json")
    (one,) = incidents(ground)
    assert (one["title"], one["state"], one["runs"]) == ("Everything is slow", "open", [begun.json["run"]])


def test_an_everyday_procedure_keeps_none(ground: Place) -> None:
    ground.manual("1. Count the chairs.\n", "#### Too slow\n\n")
    ground.run("runbook", "run", "too slow", "--json")
    assert incidents(ground) == []
