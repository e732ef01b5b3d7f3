"""Sets the clock of real processes from outside: it replaces the one place in which the product reads the time.

Python imports a module of this name when it starts, if it is on PYTHONPATH: the service and all that it starts.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def _shift() -> timedelta:
    """How much later it is than the machine says. Asked for each time: a test's process may be forked from another."""
    file = os.environ.get("TABSYNC_TEST_CLOCK")
    return timedelta(seconds=float(Path(file).read_text() or 0) if file else 0)


if "TABSYNC_TEST_CLOCK" in os.environ or "tests.forking" in sys.orig_argv:
    from tabsync.kernel import clock

    _real = clock.now

    def _now() -> datetime:
        return _real() + _shift()

    clock.now = _now

    class _ServersClock:
        """Finds the module in which the product asks a server for its time, and has that time go with ours."""

        _name = "tabsync.postgres.catalog"

        def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
            if name != self._name:
                return None
            sys.meta_path.remove(self)
            spec = find_spec(name)
            if spec is not None and spec.loader is not None:
                load = spec.loader.exec_module

                def load_and_set(module: Any) -> None:
                    load(module)
                    for function in ("position", "reached"):
                        setattr(module, function, _shifted(getattr(module, function)))

                spec.loader.exec_module = load_and_set  # type: ignore[method-assign]
            return spec

    def _shifted(read: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def at_the_set_time(connection: object) -> dict[str, Any]:
            found = read(connection)
            return found | {"time": (datetime.fromisoformat(found["time"]) + _shift()).isoformat()}

        return at_the_set_time

    sys.meta_path.insert(0, _ServersClock())

_STARTS = os.environ.get("TABSYNC_TEST_STARTS")

if _STARTS and "tabsync.cli.job" in sys.orig_argv:
    # A line for each process that was really started, whatever the ledger says.
    with Path(_STARTS).open("a") as _log:
        _log.write(f"{time.time():.3f} {os.getpid()} {Path(sys.orig_argv[-1]).name}\n")
