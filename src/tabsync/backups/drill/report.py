"""A drill's report: JSON for machines, an HTML file to hand to an auditor; both say the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tabsync import __version__
from tabsync.backups.drill.verdict import against, judge
from tabsync.copies.restores.different import differences_of
from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import Exit, Interrupted, TabsyncError
from tabsync.kernel.plan import Plan
from tabsync.kernel.runner import Outcome
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_bytes, human_seconds
from tabsync.postgres.catalog import quoted

if TYPE_CHECKING:
    from jinja2 import Environment

    from tabsync.workspace import Workspace

VERSION = 1

_TEMPLATES = {"drill": "drill.html", "quarterly drill": "quarterly.html"}
"""By kind of drill."""

_OF_TABLES = ("rows", "table", "table data")
"""Kinds of differences that are about the very table that they name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a drill leaves. data: see report_of; exit_code: 0 only if all of it holds."""

    data: Facts
    exit_code: Exit
    json_path: str
    html_path: str


def report_of(workspace: Workspace, plan: Plan, outcome: Outcome) -> Report:
    """Write the report of a drill that ran into the workspace's reports directory."""
    targets = next(step.arguments for step in plan.steps if step.key == "record")
    verdict = judge(
        outcome.results,
        rto_target=targets["rto_target"],
        rpo_target=targets["rpo_target"],
        needs=targets.get("needs", ()),
    )
    facts = {
        "backup": targets["backup"],
        "verdict": verdict.to_json(),
        "database_left": _left(outcome),
        "tables": _tables(workspace, targets["backup"], outcome),
    }
    return write_report(workspace, plan, outcome, "drill", facts, ok=verdict.ok)


def stored_report(workspace: Workspace, run_id: str) -> Report:
    """The report of a drill that ran earlier. Raises LookupError when it isn't there any more."""
    paths = {suffix: workspace.home / "reports" / f"drill-{run_id}.{suffix}" for suffix in ("json", "html")}
    try:
        data = json.loads(paths["json"].read_text())
    except (OSError, ValueError) as error:
        raise LookupError(f"run {run_id} has no report") from error
    ok = data["ok"] if "ok" in data else data["verdict"]["ok"]
    failed = data["error"] is not None
    code = Exit.DONE if ok and not failed else Exit.PROBLEM_FOUND
    return Report(data, code, str(paths["json"]), str(paths["html"]))


def write_report(workspace: Workspace, plan: Plan, outcome: Outcome, kind: str, facts: Facts, *, ok: bool) -> Report:
    """Write the report of a drill of any kind: what every drill has, and the facts of this one. ok: its verdict."""
    directory = workspace.home / "reports"
    directory.mkdir(parents=True, exist_ok=True)
    paths = {suffix: directory / f"drill-{outcome.run_id}.{suffix}" for suffix in ("json", "html")}
    error = outcome.error if isinstance(outcome.error, TabsyncError) else None
    data: Facts = {
        "version": VERSION,
        "kind": kind,
        "run": outcome.run_id,
        "finished_at": iso(now()),
        "program": {"tabsync": __version__},
        "manual_digest": workspace.manual_digest(),
        "plan_digest": plan.digest(),
        "target": plan.target,
        "store": workspace.store().url,
        **facts,
        "steps": [_step(plan, outcome, number) for number in range(len(plan.steps))],
        "error": {"fact": error.fact, "hint": error.hint} if error else None,
        "interrupted": isinstance(error, Interrupted),
        "different": differences_of(error),
        "files": {suffix: str(path) for suffix, path in paths.items()},
    }
    paths["json"].write_text(json.dumps(data, indent=1))
    paths["html"].write_text(render_html(data), encoding="utf-8", errors="backslashreplace")
    return Report(data, _exit_code(ok, error), str(paths["json"]), str(paths["html"]))


def render_html(data: Facts) -> str:
    """A report as one self-contained page, fit to be printed."""
    return _templates().get_template(_TEMPLATES[data["kind"]]).render(report=data, against=against)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"human_bytes": human_bytes, "human_seconds": human_seconds, "quoted": quoted}
    environment.filters["moment"] = _moment
    return environment


def _moment(text: str) -> str:
    return f"{parse_iso(text):%Y-%m-%d %H:%M:%S} UTC"


def _exit_code(ok: bool, error: TabsyncError | None) -> Exit:
    if error is not None:
        return error.exit_code
    return Exit.DONE if ok else Exit.PROBLEM_FOUND


def _left(outcome: Outcome) -> str | None:
    """The database that a drill on staging made and left there."""
    gone = any(outcome.results.get(key, {}).get("dropped") for key in ("drop", "tidy_database"))
    return None if gone else outcome.results.get("create", {}).get("database")


def _step(plan: Plan, outcome: Outcome, number: int) -> Facts:
    step = plan.steps[number]
    state = "done" if step.key in outcome.results else "failed" if step.key in outcome.seconds else "not run"
    seconds = outcome.seconds.get(step.key)
    return {"key": step.key, "title": step.title, "preview": step.preview, "state": state, "seconds": seconds}


def _tables(workspace: Workspace, backup: str, outcome: Outcome) -> list[Facts]:
    """Each table with its stored bytes, digest, counted rows (None: not counted) and whether it came back the same."""
    try:
        files = workspace.store().manifest(backup).files
    except TabsyncError:
        return []  # the backup never came to be; the error says so
    counted = {(one["schema"], one["name"]): one["rows"] for one in outcome.results.get("rows", {}).get("tables", ())}
    restored = outcome.results.get("restore", {})
    lost = {tuple(one) for one in restored.get("lost_tables", ())}
    lost |= {(one["schema"], one["name"]) for one in differences_of(outcome.error) if one["kind"] in _OF_TABLES}
    compared = "round_trip" in outcome.results or (outcome.failed_step == "round_trip" and _is_about_objects(outcome))
    return [
        {
            "schema": file.schema,
            "name": file.table,
            "bytes": file.bytes,
            "digest": file.digest,
            "rows": counted.get((file.schema, file.table)),
            "identical": compared and (file.schema, file.table) not in lost,
        }
        for file in files
        if file.table
    ]


def _is_about_objects(outcome: Outcome) -> bool:
    """Whether the comparison ran to its end, and names what differs."""
    return bool(differences_of(outcome.error))
