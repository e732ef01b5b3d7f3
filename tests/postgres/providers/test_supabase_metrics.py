"""The client of Supabase's Metrics API, against a server that speaks it on the loopback, well and badly."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed, TabsyncError
from tabsync.kernel.page import Line
from tabsync.manual.parse import parse
from tabsync.monitoring.collect.session import Watching
from tabsync.monitoring.judge import Level
from tabsync.monitoring.measure import Reading
from tabsync.monitoring.shown import page_of
from tabsync.procedures import at_supabase
from tabsync.procedures.at_supabase import AtSupabase
from tabsync.procedures.sources import Beside, known_to_us
from tabsync.procedures.status import look
from tabsync.providers import supabase_metrics
from tabsync.providers.supabase_metrics import Machine, open_metrics, read_machine
from tabsync.service.collector import Collector
from tabsync.workspace import Workspace
from tests.conftest import Databases
from tests.postgres.providers.supabase import REF
from tests.postgres.providers.supabase_metrics import GB, KEY, Metrics, text

SOURCES = ("disk", "cpu", "memory", "pooler clients", "pooler clients waiting", "pooler wait")
UNITS = ("bytes", "percent", "bytes", "count", "count", "seconds")
MANUAL = "# M\n\n## Metrics\n" + "".join(
    f"\n### {source}\n\nUnit: {unit}\nEvery: 1 s\nSource: {source}\n"
    for source, unit in zip(SOURCES, UNITS, strict=True)
)
BOUNDS = """
### Size

Unit: bytes
Every: 1 s
Of: disk

```sql
select 19.0 * (1 << 30)::bigint as value
```

## Thresholds

| Metric | Warning | Critical | For | Action | Runbook |
|---|---|---|---|---|---|
| disk | > 70 % | > 90 % | — | Look | — |
| Size | > 80 % | > 90 % | — | Look | — |
"""


@pytest.fixture
def shop(databases: Databases, workspaces: Callable[..., Workspace], directory: Path) -> Workspace:
    """A workspace whose database counts as Supabase's."""
    path = directory / "manual.md"
    path.write_text(MANUAL + BOUNDS)
    return replace(workspaces(databases(), path), provider="supabase", project=REF)


def asked() -> Machine:
    return open_metrics(REF, None).look()


def known(beside: Beside) -> dict[str, Reading]:
    manual, _ = parse(MANUAL + BOUNDS)
    return {one.metric: one for one in known_to_us(beside, manual, manual.metrics, "")}


def test_what_a_machine_says(metrics: Metrics) -> None:
    found = asked()
    assert (found.disk().value, found.disk().of) == (15 * GB, 20 * GB)
    assert (found.memory().value, found.memory().of) == (3 * GB, 8 * GB)
    assert (found.clients().value, found.clients().of) == (12, 200)
    assert (found.waiting().value, found.wait().value) == (5, 1.5)
    cpu = found.cpu()
    assert (cpu.busy, cpu.idle, cpu.processors) == (100, 900, 2)
    assert metrics.asked == ["/customer/v1/privileged/metrics"]


def test_how_much_of_the_processors_is_used_takes_two_looks(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_supabase, "_ASKED_FOR", 0.0)
    machine = AtSupabase(REF, None)
    with pytest.raises(CannotConnect, match="takes two looks"):
        machine.cpu()
    metrics.body = text(busy=130, idle=990).encode()
    assert (machine.cpu().value, machine.cpu().of) == (25, 100)  # the second answer is the same: the figure stays
    metrics.body = text(busy=1, idle=9).encode()  # it was started anew
    with pytest.raises(CannotConnect, match="takes two looks"):
        machine.cpu()
    metrics.body = text(busy=1, idle=29).encode()
    assert machine.cpu().value == 0


def test_figures_that_stand_still_are_not_of_now(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_supabase, "_ASKED_FOR", 0.0)
    machine = AtSupabase(REF, None)
    assert machine.machine().memory().value == 3 * GB
    monkeypatch.setattr(at_supabase, "_STALE", 0.0)
    with pytest.raises(CannotConnect, match="have not changed for"):
        machine.machine()
    metrics.body = text(busy=130, idle=990).encode()
    assert machine.machine().memory().value == 3 * GB


def test_one_answer_is_for_all_metrics_and_so_is_none(metrics: Metrics, shop: Workspace) -> None:
    beside = Beside(shop)
    found = known(beside)
    assert len(metrics.asked) == 1
    assert (found["disk"].level, found["cpu"].level) == (Level.WARNING, Level.UNKNOWN)
    assert found["pooler clients"].samples[0].percent == 6
    metrics.status = 500
    assert known(beside)["disk"].level is Level.WARNING  # it is not asked again at once
    beside = Beside(shop)
    for _ in range(2):
        assert {one.kind for one in known(beside).values()} == {"failed"}
    assert len(metrics.asked) == 2


def _cut(metrics: Metrics) -> None:
    metrics.headers |= {"content-length": str(len(metrics.body) + 10)}


def _no_length(metrics: Metrics) -> None:
    metrics.headers |= {"content-length": ""}


def _squeezed(metrics: Metrics) -> None:
    metrics.body = gzip.compress(bytes(1 << 20))
    metrics.headers |= {"content-encoding": "gzip"}


WRONG: dict[str, tuple[Callable[[Metrics], object], str]] = {
    "401": (lambda one: setattr(one, "status", 401), "does not accept the key in SUPABASE_SECRET_KEY"),
    "403": (lambda one: setattr(one, "status", 403), "does not accept the key in SUPABASE_SECRET_KEY"),
    "404": (lambda one: setattr(one, "status", 404), "has no metrics of the project"),
    "500": (lambda one: setattr(one, "status", 500), "answered 500"),
    "moved": (lambda one: setattr(one, "status", 302), "answered 302"),
    "html": (lambda one: one.headers.update({"content-type": "text/html"}), "answered text/html instead of metrics"),
    "no type": (lambda one: one.headers.update({"content-type": ""}), "answered nothing instead of metrics"),
    "cut": (_cut, "no answer from"),
    "no length": (_no_length, "it may be cut"),
    "cut within a line": (lambda one: setattr(one, "body", one.body[:-1]), "its last line is not whole"),
    "not UTF-8": (lambda one: setattr(one, "body", b"\xff\xfe\n"), "it is not UTF-8"),
    "json": (lambda one: setattr(one, "body", b'{"a": 1}\n'), "line 1 begins with no name"),
    "squeezed": (_squeezed, "answers compressed"),
    "huge": (lambda one: setattr(one, "body", b"#\n" * (5 << 20)), "is longer than"),
    "without end": (lambda one: setattr(one, "answering", one.floods), "is longer than"),
    "of another": (lambda one: setattr(one, "body", text(ref="x" * 20).encode()), "are of 'xxxxxxxxxxxxxxxxxxxx'"),
    "empty": (lambda one: setattr(one, "body", b""), "don't say the disk of the data"),
    "NaN": (lambda one: setattr(one, "body", text(free="NaN").encode()), "gives nan as node_filesystem_free_bytes"),
    "infinite": (lambda one: setattr(one, "body", text(size="+Inf").encode()), "gives inf as"),
    "negative": (lambda one: setattr(one, "body", text(free=-1).encode()), "gives -1.0 as"),
    "more free than there is": (
        lambda one: setattr(one, "body", text(free=22 * GB).encode()),
        "don't say how much of the disk is used",
    ),
    "words": (lambda one: setattr(one, "body", text(free="much").encode()), "has no value"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_is_unknown_with_its_reason(metrics: Metrics, shop: Workspace, how: str) -> None:
    """The disk is compared with bounds that 15 of 20 GB exceed: nothing of this may read as ok."""
    break_it, says = WRONG[how]
    break_it(metrics)
    beside = Beside(shop)
    found = known(beside)["disk"]
    assert (found.level, found.samples[0].value) == (Level.UNKNOWN, None)
    assert says in found.samples[0].why, found.samples[0].why
    assert KEY not in found.samples[0].why
    limit = beside.limits(parse(MANUAL + BOUNDS)[0].metrics)["disk"]
    assert limit.value is None and says in limit.why


@pytest.mark.parametrize("how", ["drips", "drips_its_head"])
def test_who_answers_slowly_holds_up_nobody(metrics: Metrics, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(supabase_metrics, "SECONDS", 0.5)
    metrics.answering = getattr(metrics, how)
    began = time.monotonic()
    with pytest.raises(CannotConnect, match=r"within 0\.5 s|in time"):
        asked()
    assert time.monotonic() - began < 5
    if how == "drips_its_head":  # it is left behind, and another one isn't started beside it
        with pytest.raises(CannotConnect, match="asked before and has not ended"):
            asked()
        assert len(metrics.asked) == 1


def test_a_part_that_is_wrong_leaves_the_others_alone(metrics: Metrics) -> None:
    metrics.body = text(free="NaN", most=0).encode()
    found = asked()
    assert found.memory().of == 8 * GB
    for wrong in (found.disk, found.clients):
        with pytest.raises(CannotConnect):
            wrong()
    twice = text() + f'node_memory_MemTotal_bytes{{supabase_identifier="{REF}"}} 5\n'
    with pytest.raises(CannotConnect, match="of 2 machines"):
        read_machine(twice.encode(), REF).memory()


def test_the_key_comes_from_environment_or_file_and_is_never_shown(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert KEY not in repr(open_metrics(REF, None))
    monkeypatch.delenv("SUPABASE_SECRET_KEY")
    with pytest.raises(NotAllowed, match="SUPABASE_SECRET_KEY is not set"):
        open_metrics(REF, None)
    file = tmp_path / "key"
    with pytest.raises(BadUsage, match="can't read"):
        open_metrics(REF, file)
    file.write_text(f"{KEY}\n")
    assert open_metrics(REF, file).look().memory().of == 8 * GB
    for wrong in ("two words", "é", "a\nb"):
        file.write_text(wrong)
        with pytest.raises(BadUsage) as raised:
            open_metrics(REF, file)
        assert wrong not in raised.value.fact + raised.value.hint
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", KEY)
    assert open_metrics(REF, file).look().memory().of == 8 * GB
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "another")
    with pytest.raises(TabsyncError) as raised_:
        asked()
    assert "another" not in raised_.value.fact + raised_.value.hint + repr(raised_.value.__context__)
    monkeypatch.setenv("TABSYNC_SUPABASE_METRICS_URL", "http://example.org")
    with pytest.raises(BadUsage, match="neither https nor loopback"):
        asked()


def test_the_size_of_the_disk_is_what_a_metric_is_a_part_of(metrics: Metrics, shop: Workspace) -> None:
    """19 of 20 GB, where the manual says `Of: disk`: in what is collected, and in the status."""
    collector = Collector(shop, "test")
    found = {one.metric: one for one in collector.step()}
    assert (found["Size"].level, found["Size"].samples[0].of) == (Level.CRITICAL, 20 * GB)
    collector.end()
    asked_before = len(metrics.asked)
    facts = look(shop, parse(MANUAL + BOUNDS)[0])
    (size,) = [one for one in facts["readings"] if one["metric"] == "Size"]
    assert (size["level"], size["value"]) == ("critical", "19.0 GB of 20.0 GB (95 %)")
    assert len(metrics.asked) == asked_before + 1  # one answer for all
    metrics.status = 503
    (size,) = [one for one in look(shop, parse(MANUAL + BOUNDS)[0])["readings"] if one["metric"] == "Size"]
    assert size["level"] == "unknown" and "answered 503" in json.dumps(size)


def test_of_disk_is_unknown_where_nobody_asks(metrics: Metrics, shop: Workspace) -> None:
    manual, _ = parse(MANUAL + BOUNDS)
    session = Watching.open(shop)
    (found,) = session.scrape([one for one in manual.metrics if one.sql], manual, 5)
    session.close()
    assert (found.level, found.kind) == (Level.UNKNOWN, "failed")
    assert "nobody asked for the disk" in found.samples[0].why


def test_what_is_to_be_declared_stands_in_a_list_of_its_own(shop: Workspace, metrics: Metrics) -> None:
    facts = look(replace(shop, provider="", project=""), parse(MANUAL + BOUNDS)[0])
    waiting = "pooler clients waiting: tabsync.toml doesn't say where"
    assert facts["to_declare"][0].startswith(waiting) and len(facts["to_declare"]) == 2
    assert set(facts["to_declare"]) < set(facts["unseen"])  # nothing of it is fine
    lines = [one.text.strip() for one in page_of(facts).blocks if isinstance(one, Line)]
    unknown, declare = lines.index("Unknown"), lines.index("To declare")
    assert lines[declare + 1].startswith(waiting)
    assert not any(one.startswith("pooler w") for one in lines[unknown:declare])


def test_a_database_that_is_not_supabase_s_says_so(shop: Workspace, metrics: Metrics) -> None:
    own = replace(shop, provider="", project="")
    found = known(Beside(own))
    assert found["disk"].samples[0].value
    assert found["memory"].kind == "hidden" and "only Supabase" in found["memory"].samples[0].why
    assert found["pooler wait"].kind == "declare"
    assert metrics.asked == []
