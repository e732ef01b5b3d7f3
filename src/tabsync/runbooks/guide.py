"""Goes through a runbook with whoever carries it out: the terminal, the console, a game day. Each step is on record.

A run stands in the ledger alone. Killed at any moment, it is taken up at its open step, here or by somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tabsync.kernel.errors import BadUsage, Refused
from tabsync.kernel.page import blocks_to_json, to_record
from tabsync.kernel.plain import in_one_line
from tabsync.kernel.step import Facts
from tabsync.ledger.guided import Guided
from tabsync.manual.load import load
from tabsync.manual.model import Manual, Runbook, Step
from tabsync.runbooks import recovery
from tabsync.runbooks.candidates import Likely, likely
from tabsync.runbooks.incident import helped, opened_for
from tabsync.runbooks.parent import plan_of_runbook, runbook_of
from tabsync.runbooks.placeholders import open_in
from tabsync.runbooks.same import check_same, database_of
from tabsync.runbooks.step import Prepared, Result, done

if TYPE_CHECKING:
    from tabsync.kernel.runner import Listener
    from tabsync.system.claims import Claim
    from tabsync.workspace import Workspace

SETTLED = ("done", "skipped")
_LONGEST = 200_000  # characters of what a step has shown that are kept


@dataclass(slots=True)
class Guide:
    """A runbook's run in the hands of somebody. run: as the record has it; held: the claim, None for who only looks."""

    workspace: Workspace
    manual: Manual
    runbook: Runbook
    record: Guided
    run: Facts
    held: Claim | None = None

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.run["id"])

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to do."""
        return bool(self.run["state"] == "open")

    def row(self, number: int) -> Facts:
        """What the record has of a step."""
        found: Facts = next(one for one in self.run["steps"] if one["key"] == f"step-{number}")
        return found

    def step(self, number: int) -> Step:
        """A step, by its number in the manual. Raises BadUsage when there is none."""
        return step_of(self.runbook, number)

    def next_step(self, after: int = 0) -> Step | None:
        """The first step that is neither done nor skipped; None when all are."""
        left = (one for one in self.runbook.steps if not _is_settled(self.row(one.number)))
        return next((one for one in left if one.number > after), None)

    def likely(self, step: Step) -> dict[str, list[Likely]]:
        """What a step leaves open, each with what is likely meant."""
        shown = [one["facts"].get("data", {}) for one in self.run["steps"] if one["facts"]]
        alert = self.run["target"].get("alert_facts", {})
        return {name: likely(self.workspace, self.manual, step, name, shown, alert) for name in open_in(step)}

    def begin_step(self, step: Step, values: Facts) -> None:
        """Write down that a step begins. values: for what it leaves open.

        Raises Refused when this is another database than the one that the run was begun on.
        """
        self._check_held()
        check_same(self.workspace, self.run)
        row = self.row(step.number)
        before = (row["facts"] or {}).get("interrupted", 0) + (row["state"] == "interrupted")
        facts: Facts = {"values": values} if values else {}
        self.record.start(self.id, self._number(step), facts | ({"interrupted": before} if before else {}))
        self.read()

    def carry_out(self, what: Prepared, listener: Listener | None, approval: str) -> Result:
        """Do what was prepared of a step: its run belongs to this one."""
        self._check_held()
        return done(replace(what, workspace=replace(what.workspace, parent_run=self.id)), listener, approval)

    def was_interrupted(self, step: Step) -> bool:
        """Whether a process died while it did this step, and nobody has settled since what became of it."""
        return bool((self.row(step.number)["facts"] or {}).get("interrupted"))

    def pause(self, step: Step) -> None:
        """Somebody looked at what a step would do, and did not have it done."""
        before = (self.row(step.number)["facts"] or {}).get("interrupted")
        self._leave(step, "waiting", {"interrupted": before} if before else {})

    def ended(self, step: Step, results: Sequence[Result], approval: str = "", note: str = "") -> None:
        """Write down what came of a step. note: what a person should know besides."""
        good = all(one.is_good for one in results)
        stopped = next((one.error for one in results if one.error), None)
        exit_code = next((int(one.exit_code) for one in results if one.exit_code), 0)
        known = self.row(step.number)["facts"] or {}
        pages = [to_record(one.page) for one in results if one.page]
        facts = {"exit": exit_code, "runs": [one.run_id for one in results if one.run_id]}
        facts |= {"values": known.get("values", {})} | ({"note": note} if note else {})
        facts |= {"interrupted": known["interrupted"]} if known.get("interrupted") else {}
        said = [one.headline for one in pages if one.headline]
        facts |= {"said": said} if said else {}
        facts |= {"approval": approval, "data": _kept([one.data for one in pages])}
        facts |= {"output": _kept([blocks_to_json(one) for one in pages])}
        seconds = sum(one.seconds for one in results)
        fact = stopped.fact if stopped else "" if good else f"it ended with exit code {exit_code}"
        hint = stopped.hint if stopped else ""
        self._leave(step, "done" if good else "failed", facts, seconds, fact, hint)

    def could_not_begin(self, step: Step, error: Exception) -> None:
        """Write down that a step could not even be planned."""
        fact, hint = getattr(error, "fact", str(error)), getattr(error, "hint", "")
        self._leave(step, "failed", {"exit": int(getattr(error, "exit_code", 5))}, 0.0, fact, hint)

    def tick(self, step: Step, note: str) -> None:
        """A person has done a step."""
        self._leave(step, "done", {"note": in_one_line(note)})

    def skip(self, step: Step, why: str) -> None:
        """A person leaves a step out, or goes on after it has failed, which it stays."""
        row = self.row(step.number)
        failed = row["state"] == "failed"
        facts = (row["facts"] or {}) | {"note": in_one_line(why) or "left out"}
        self._leave(
            step, "failed" if failed else "skipped", facts, row["seconds"] or 0.0, row["fact"] or "", row["hint"] or ""
        )

    def look(self) -> tuple[recovery.Now, ...]:
        """What its Recovers are about, measured now."""
        return recovery.look(self.workspace, self.manual, self.runbook.recovers)

    def wait(self, report: recovery.Report) -> recovery.Waited:
        """Wait until it has recovered; see recovery.wait()."""
        return recovery.wait(self.workspace, self.manual, self.runbook.recovers, report)

    def finish(self, waited: recovery.Waited | None, why: str = "") -> str:
        """End the run: done when it has recovered, or when nothing says what that is and every step was settled."""
        settled = all(one["state"] in SETTLED for one in self.run["steps"])
        state = "stopped" if why else "done" if (waited.recovered if waited else settled) else "failed"
        facts = {"recovery": recovery.as_json(waited)} if waited else {}
        if waited is not None and waited.recovered:  # first: a run that has ended is taken up by nobody
            helped(self.workspace, self.id, recovery.told(waited))
        self.record.end(self.id, state, facts | ({"stopped": in_one_line(why)} if why else {}))
        self.read()
        self.let_go()
        return state

    def let_go(self) -> None:
        """Give the run's claim up: anybody may take the run up now."""
        if self.held is not None:
            self.record.let_go(self.id, self.held)
            self.held = None

    def _leave(
        self, step: Step, state: str, facts: Facts, seconds: float = 0.0, fact: str = "", hint: str = ""
    ) -> None:
        self._check_held()
        if not self.row(step.number)["started_at"]:  # a person did it, or leaves it out: it has its time too
            self.record.start(self.id, self._number(step), {})
        self.record.leave(self.id, self._number(step), state, facts, seconds, fact, hint)
        self.read()

    def _number(self, step: Step) -> int:
        return int(self.row(step.number)["number"])

    def _check_held(self) -> None:
        if self.held is None:
            raise Refused("this run is only being watched", f"tabsync runbook resume {self.id}")

    def read(self) -> None:
        """Read where it stands."""
        self.run = self.record.read(self.id)


def begin(workspace: Workspace, title: str, alert: str = "", alert_facts: Facts | None = None) -> Guide:
    """Begin to run a runbook. alert: the id of the alert that it answers. Raises BadUsage when there is none such."""
    manual = load(workspace.manual_path)
    runbook = runbook_named(manual, title)
    before = recovery.look(workspace, manual, runbook.recovers)
    target = database_of(workspace) | {"before": [one.to_json() for one in before], "alert_facts": alert_facts or {}}
    record = Guided(workspace.record(), workspace.journal_actor(), workspace.manual_digest())
    run_id, held = record.begin(plan_of_runbook(runbook, target, alert))
    opened_for(workspace, manual, runbook, run_id, alert)
    guide = watch(workspace, run_id)
    guide.record, guide.held = record, held
    return guide


def watch(workspace: Workspace, run_id: str) -> Guide:
    """Look at a run, whoever carries it out. Raises BadUsage when there is none of that id."""
    record = Guided(workspace.record(), workspace.journal_actor(), workspace.manual_digest())
    run = record.read(run_id)
    runbook = runbook_of(run)
    return Guide(replace(workspace, parent_run=str(run["id"])), load(workspace.manual_path), runbook, record, run)


def step_of(runbook: Runbook, number: int) -> Step:
    """A step of a runbook, by its number in the manual. Raises BadUsage when there is none."""
    found = next((one for one in runbook.steps if one.number == number), None)
    if found is None:
        numbers = ", ".join(str(one.number) for one in runbook.steps)
        raise BadUsage(f"{runbook.title!r} has no step {number}", f"its steps: {numbers}")
    return found


def runbook_named(manual: Manual, title: str) -> Runbook:
    """The runbook that somebody means: its title, or words that only one title has. Raises BadUsage."""
    from difflib import get_close_matches

    plain = " ".join(title.lower().replace("-", " ").split())
    titles = {one.title.lower(): one for one in manual.runbooks}
    alike = [one for name, one in titles.items() if plain and plain in " ".join(name.replace("-", " ").split())]
    exact = [one for one in alike if " ".join(one.title.lower().replace("-", " ").split()) == plain]
    if found := exact or (alike if len(alike) == 1 else []):
        return found[0]
    near = [one.title for one in alike] or [titles[one].title for one in get_close_matches(plain, titles, 3, 0.5)]
    hint = f"did you mean {', '.join(repr(one) for one in near[:3])}?" if near else "to list them: tabsync runbook list"
    raise BadUsage(f"the manual has no runbook {title!r}", hint)


def _is_settled(row: Facts) -> bool:
    """Whether nothing is left to do about a step: it was done or left out, or somebody went on after it failed."""
    return row["state"] in SETTLED or (row["state"] == "failed" and bool((row["facts"] or {}).get("note")))


def _kept(value: list[object]) -> list[object]:
    """What was shown, unless it is very long: the record is no store."""
    import json

    return value if len(json.dumps(value, default=str)) <= _LONGEST else ["(too long to be kept)"]
