"""Kills this process by SIGKILL at a moment: before or after it has written something down of a run, or later.

In the environment of a command that tests/forked.py runs, TABSYNC_TEST_KILLED is a Moment as JSON. Each time something
is written down of a run, a line in its log says what: the last line of one that was killed says where it was.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "TABSYNC_TEST_KILLED"


@dataclass(frozen=True)
class Moment:
    """When to kill. log: a file; number: at which of the lines in the log, 0 for its start, -1 for never.

    line: only lines with this text count; delay: seconds after it; patience: seconds that SQLite waits for whoever
    writes, instead of the usual ten.
    """

    log: str
    number: int = -1
    line: str = ""
    delay: float = 0.0
    patience: int = 10

    def variables(self) -> dict[str, str]:
        """What the command gets in its environment."""
        return {VARIABLE: json.dumps(asdict(self))}


def lines(log: Path) -> list[str]:
    """What a log says: "before intent", "after done of its own"."""
    return log.read_text().splitlines() if log.exists() else []


def arm() -> None:
    """Do as the environment says."""
    moment = Moment(**json.loads(os.environ[VARIABLE]))
    from tabsync.ledger import merge, sqlite_file
    from tabsync.ledger import open as ledger_open
    from tabsync.ledger.emergency import Emergency
    from tabsync.ledger.journal import LedgerJournal

    sqlite_file.PATIENCE = moment.patience
    log = os.open(moment.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    under: set[str] = set()
    seen = 0

    def reached(line: str) -> None:
        nonlocal seen
        seen += moment.line in ("", line)
        os.write(log, f"{line}\n".encode())
        if seen == moment.number and moment.line in ("", line):
            _kill(moment.delay)

    def around(what: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            line = name(*given)
            reached(f"before {line}")
            found = what(*given, **named)
            reached(f"after {line}")
            return found

        return wrapped

    def entry(_ledger: object, run_id: str, told: dict[str, Any]) -> str:
        what = told["values"]["state"] if told["do"] == "step" else told["do"]
        return f"{what} of its own" if run_id in under else str(what)

    def beginning(_journal: object, run_id: str, *_: object) -> str:
        under.add(run_id)
        return "begin of its own"

    Ledger: Any = ledger_open.Ledger
    Ledger.write = around(Ledger.write, entry)
    LedgerJournal._record = around(LedgerJournal._record, beginning)  # type: ignore[method-assign]
    merge._merge = around(merge._merge, lambda *_: "merge")
    Emergency.forget = around(Emergency.forget, lambda *_: "forget")  # type: ignore[method-assign]
    if moment.number == 0:
        _kill(moment.delay)


def _kill(delay: float) -> None:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if not delay:
        kill()
    timer = threading.Timer(delay, kill)
    timer.daemon = True
    timer.start()
