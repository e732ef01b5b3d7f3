"""A deployment whose command runs elsewhere, in a pipeline, while the service sees to everything else.

The pipeline asks again and again how far it is, and so it is known to live. The step that would run the command waits
for it to report what came of it; all before and after is as if it ran here.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tabsync.deployments.begin import LIMITS
from tabsync.deployments.besides import changed_objects, objects_now
from tabsync.deployments.perform import enter
from tabsync.deployments.watch import Watch
from tabsync.kernel.errors import FailedPartway
from tabsync.kernel.step import Facts
from tabsync.migrations.there import search_path

if TYPE_CHECKING:
    from tabsync.workspace import Context

SILENT = 120.0
"""Seconds after which a pipeline that asks nothing any more has died."""
_LOOK = 0.25  # seconds


@dataclass(slots=True)
class Pipeline:
    """What is known of one. ready: its command may run; result: what it has reported; heard: when it asked last."""

    ready: bool = False
    result: Facts | None = None
    heard: float = field(default_factory=time.monotonic)


_PIPELINES: dict[str, Pipeline] = {}
_LOCK = threading.Lock()


def pipeline_of(run_id: str) -> Pipeline:
    """That of a run, which is heard of by being asked for."""
    with _LOCK:
        found = _PIPELINES.setdefault(run_id, Pipeline())
    found.heard = time.monotonic()
    return found


def forget(run_id: str) -> None:
    """Forget one whose run has ended."""
    with _LOCK:
        _PIPELINES.pop(run_id, None)


def name_of(run_id: str) -> str:
    """The application's name by which its sessions are known."""
    return f"tabsync-guarded-{run_id[-6:]}"


def wait_for_pipeline(context: Context, *, target: Facts, folder: str | None, bounds: Facts) -> Facts:
    """Let the pipeline run its command, and wait for what came of it; the same facts as perform() gives.

    Raises Refused as that does, FailedPartway when the pipeline isn't heard of any more.
    """
    mine = pipeline_of(context.run_id)
    path = search_path(context.workspace)
    with context.workspace.connect("deployments", LIMITS) as connection:
        enter(context, connection, target, folder, path, bounds)
        objects = objects_now(context.workspace)
        watch = Watch(connection, context.run_id, name_of(context.run_id), lambda _line: None, bounds["budget"])
        mine.ready, mine.heard = True, time.monotonic()
        while mine.result is None:
            if time.monotonic() - mine.heard > SILENT:
                fact = "the pipeline was not heard of for 2 min: what its command did is unknown"
                raise FailedPartway(fact, "tabsync migration status")
            watch.look()
            context.report(0, 0, "")
            time.sleep(_LOOK)
    return {**mine.result, "changed": changed_objects(objects, objects_now(context.workspace)), **watch.to_json()}
