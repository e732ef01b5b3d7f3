"""The process of a job: it carries out one command of the manual, and leaves its exit code and its evidence.

`python -m tabsync.cli.job DIRECTORY`, started by the service (service.jobs). The command is carried out as if it were
typed; what it prints is the job's output.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tabsync.cli import few_collections
from tabsync.cli.patient import FULL, patient
from tabsync.kernel.errors import Exit, TabsyncError
from tabsync.kernel.step import Facts


def main(directory: Path) -> int:
    """Carry out the job of a directory; returns its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` had it ignored: then nothing would end it
    from tabsync.kernel.clock import iso, now
    from tabsync.service.jobs import run_of, take_place, write_exit

    sys.stdout, sys.stderr = patient(1, passed=FULL), patient(2, passed=FULL)
    try:
        take_place(directory)
    except OSError:
        return int(Exit.FAILED_PARTWAY)  # it says so by having left no trace
    job = json.loads((directory / "job.json").read_text(encoding="utf-8"))
    result = _carried_out(job, directory)
    if job.get("evidence") == "output":
        try:
            _leave_output(job, directory, result)
        except TabsyncError as error:  # it was done, and nothing will show it; what only looked may look again
            told = f"its output was not recorded: {error.fact}"
            result = result | {"exit": int(error.exit_code), "fact": told, "again": not run_of(directory)}
    write_exit(directory, result | {"at": iso(now())})
    return int(result["exit"])


def _carried_out(job: Facts, directory: Path) -> Facts:
    from tabsync.cli.edge import exit_code_of, stop_on_sigterm, told_of
    from tabsync.cli.profile import use_configured
    from tabsync.cli.tree import program
    from tabsync.kernel.errors import CannotConnect, Refused
    from tabsync.service.jobs import run_of

    stop_on_sigterm()
    try:
        use_configured(job["words"])
        code: Any = program()(args=job["words"], standalone_mode=False, prog_name="tabsync")
        return {"exit": code if isinstance(code, int) else 0, "fact": "", "again": False}
    except KeyboardInterrupt:
        return {"exit": 130, "fact": "it was interrupted", "again": False}
    except Exception as error:  # noqa: BLE001 - the edge of this process: all that fails has to be on record
        told = told_of(error)
        if told is None:
            import traceback

            traceback.print_exc()
            return {"exit": 70, "fact": f"{type(error).__name__}: a fault of tabsync's own", "again": False}
        exit_code_of(error)
        needs = isinstance(told, Refused) and "can't be confirmed without a terminal" in told.fact
        return {
            "exit": int(told.exit_code),
            "fact": told.fact,
            "again": isinstance(told, CannotConnect) or (_no_room(error, told) and not run_of(directory)),
            "approval": needs,
        }


def _no_room(error: Exception, told: TabsyncError) -> bool:
    """Whether it failed because the ledger, or a disk, could not be written."""
    from tabsync.kernel.errors import NotRecorded

    return isinstance(told, NotRecorded) or (isinstance(error, OSError) and error.errno in FULL)


def _leave_output(job: Facts, directory: Path, result: Facts) -> None:
    """What a procedure printed that leaves no other evidence is the evidence that it was done."""
    from tabsync.ledger.evidence import add_evidence
    from tabsync.schedule.items import output_of
    from tabsync.service.jobs import output_of as printed
    from tabsync.service.jobs import run_of
    from tabsync.workspace import find

    sys.stdout.flush()
    lines = [line for line in printed(directory).splitlines() if line.strip()]
    facts = {
        "item": job["item"],
        "headline": " ".join((result["fact"] or (lines[-1] if lines else "")).split())[:300],
        "lines": lines[-60:],
        "exit": result["exit"],
        "unknown": result["exit"] == Exit.UNKNOWN,
    }
    workspace = find()
    try:
        ok = result["exit"] == 0
        kind, run_id = output_of(job["item"]), run_of(directory) or None
        add_evidence(workspace.ledger(), kind, job["subject"], ok=ok, facts=facts, run_id=run_id)
    finally:
        workspace.close()


if __name__ == "__main__":
    few_collections()
    try:
        sys.exit(main(Path(sys.argv[1])))
    finally:
        gc.freeze()  # as every command does: a third of a short job was collections
