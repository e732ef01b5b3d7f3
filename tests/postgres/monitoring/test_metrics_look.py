"""tabsync metrics list, show, history: what they say, while the database is down."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tabsync.cli.tree import program
from tabsync.kernel.clock import now
from tabsync.kernel.errors import BadUsage, TabsyncError
from tabsync.kernel.page import Line, Page, Table
from tabsync.kernel.request import Nothing
from tabsync.manual.load import read
from tabsync.manual.show import render
from tabsync.monitoring.history.logins import Counted
from tabsync.monitoring.history.looks import Past, Show, look_history, look_list, look_show
from tabsync.monitoring.history.place import history_of
from tabsync.monitoring.history.who import Who, look_sessions
from tabsync.workspace import Workspace

EVIL = "\x1b]0;owned\x07=cmd|'/c calc'!A0\nMetric  ok"


@pytest.fixture
def workspace(workspaces: Callable[..., Workspace]) -> Workspace:
    made = workspaces("host=127.0.0.1 port=1 dbname=nowhere connect_timeout=1")
    moment = now()
    with history_of(made, create=True) as history:
        for minutes in range(300, -1, -1):
            gap = 100 <= minutes < 160
            values = {} if gap else {("active connections", ""): 10.0, ("dead tuples", EVIL): 70_000.0}
            tried = {"active connections": "", "dead tuples": "", "blocked sessions": "no rights"}
            ofs = {("active connections", ""): 100.0}
            history.append(moment - timedelta(minutes=minutes), values, {} if gap else ofs, tried)
        history.tidy(moment)
    return made


def text_of(page: Page) -> str:
    lines = []
    for block in page.blocks:
        if isinstance(block, Line):
            lines.append(block.text)
        elif isinstance(block, Table):
            lines += ["  ".join(cell if isinstance(cell, str) else cell[0] for cell in row) for row in block.rows]
    return "\n".join(lines)


def test_the_list_says_how_each_stands(workspace: Workspace) -> None:
    page = look_list(workspace, Nothing())
    text = text_of(page)
    assert "✓ ok  Active connections  10 of 100 connections (10 %)  15 s" in text
    assert "✕ critical  Dead tuples  70,000 row versions" in text
    assert "unknown: Blocked sessions: no rights" in text
    assert "Table sizes" in text and "never measured: tabsync serve collects" in text
    levels = {one["metric"]: one["level"] for one in page.to_json()["metrics"]}
    assert {title for title, level in levels.items() if level in ("ok", "no bound")} == {"Active connections"}


def test_without_a_history_all_is_unknown(workspaces: Callable[..., Workspace]) -> None:
    workspace = workspaces("host=127.0.0.1 port=1 dbname=nowhere")
    page = look_list(workspace, Nothing())
    assert "Nothing was ever measured. To measure: tabsync serve" in text_of(page)
    assert {one["level"] for one in page.to_json()["metrics"]} == {"unknown"}
    assert not workspace.home.exists()
    assert look_history(workspace, Past("Dead tuples")).exit_code == 6


def test_one_metric_with_its_bounds_and_its_query(workspace: Workspace) -> None:
    text = text_of(look_show(workspace, Show("dead-tuples")))
    assert "Dead tuples  row versions, every 10 min" in text
    assert "Bound: warning > 10000, critical > 50000, for 1 h: Run VACUUM (Too many dead tuples)" in text
    assert "pg_stat_get_dead_tuples" in text
    assert 'tabsync metrics history "Dead tuples"' in text


def test_over_time_with_its_gap(workspace: Workspace) -> None:
    page = look_history(workspace, Past("active connections", since="6h"))
    (line,) = page.to_json()["lines"]
    times = [one["at"] for one in line["points"]]
    assert sum(one["count"] for one in line["points"]) == 241, "sixty of 301 were not measured"
    assert times == sorted(times)
    assert {(one["low"], one["mean"], one["high"], one["of"]) for one in line["points"]} == {(10.0, 10.0, 10.0, 100.0)}
    drawn = next(block for block in page.blocks if isinstance(block, Table)).rows[0][1]
    assert isinstance(drawn, str)
    assert "▄·····" in drawn and "·▄" in drawn
    assert look_history(workspace, Past("dead tuples", label="none of it")).exit_code == 6
    for since in ("yesterday", "0s", "1000 years"):
        with pytest.raises(BadUsage, match="--since"):
            look_history(workspace, Past("dead tuples", since=since))


def test_csv_is_safe_to_open(workspace: Workspace) -> None:
    page = look_history(workspace, Past("dead tuples", csv=True))
    with history_of(workspace, create=True) as history:
        history.append(now(), {("dead tuples", "=1+1"): 1.0, ("dead tuples", '-x"y,z'): -2.0})
    page = look_history(workspace, Past("dead tuples", since="1h", csv=True))
    rows = list(csv.DictReader(io.StringIO(text_of(page))))
    assert {one["label"] for one in rows} >= {"'=1+1", "'-x\"y,z"}
    assert {one["mean"] for one in rows if one["label"].startswith("'-x")} == {"-2.0"}, "a number stays one"
    assert not any(set(cell) & set("\x1b\x07\n") for one in rows for cell in one.values())


def test_a_hostile_label_is_shown_plain(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "tabsync.toml"
    config.write_text(f'database = "host=127.0.0.1 port=1"\nhome = "{workspace.home}"\n')
    for words in (["metrics", "list"], ["metrics", "show", "dead tuples"], ["metrics", "history", "dead tuples"]):
        for more in ([], ["--json"]):
            done = CliRunner().invoke(program(), [*words, *more, "--config", str(config)], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            assert "\x1b]" not in done.output and "\x07" not in done.output
            if more:
                assert json.loads(done.stdout)["version"] == 1


def test_a_metric_that_the_manual_has_no_more_has_its_history(workspace: Workspace) -> None:
    with history_of(workspace, create=True) as history:
        history.append(now(), {("old thing", ""): 5.5})
    page = look_history(workspace, Past("Old thing"))
    assert page.to_json()["lines"][0]["points"][0]["mean"] == 5.5
    with pytest.raises(TabsyncError, match="no metric"):
        look_history(workspace, Past("Older thing"))


def test_the_manual_says_the_same(workspace: Workspace) -> None:
    from rich.console import Console

    manual, _ = read(workspace.manual_path)
    out = Console(width=300, file=io.StringIO(), record=True)
    out.print(render(manual, "metrics", lambda _words: True))
    shown = out.export_text()
    for one in look_list(workspace, Nothing()).to_json()["metrics"]:
        row = next(line for line in shown.splitlines() if line.startswith(f"{one['metric']}  "))
        assert f"  {one['unit']}  " in row
        assert all(each in row for bound in one["bounds"] for each in (bound["warning"], bound["critical"]))


def test_who_logs_in_is_shown_as_other_people_s_words(workspace: Workspace) -> None:
    moment = now()
    with history_of(workspace, create=True) as history:
        history.saw([("app", EVIL, "10.0.0.7"), ("", "", "")], moment - timedelta(days=2))
        history.saw([("old", "psql", "")], moment - timedelta(days=20))
        history.counted(Counted(10, "5 1", moment - timedelta(minutes=9), 0), moment - timedelta(minutes=9))
        history.counted(Counted(19, "5 1", moment, 2), moment)
    page = look_sessions(workspace, Who())
    text = text_of(page)
    assert "app" in text and "\x1b" not in text and "\nMetric" not in text and "psql" not in text
    assert "9 sessions began, and 7 of them ended between two looks" in text
    assert (page.data["established"], page.data["unseen"]) == (9, 7)
    assert [one["application"] for one in page.data["sessions"]] == ["", EVIL]
    assert "psql" in text_of(look_sessions(workspace, Who("30d")))
    with pytest.raises(BadUsage, match="--since"):
        look_sessions(workspace, Who("soon"))
