"""tabsync migration guard: a deployment runs when nothing stands against it, is watched, and is verified."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from tabsync.deployments.begin import check_begin
from tabsync.deployments.clear import check_clear
from tabsync.deployments.gated import check_gate, gate_of
from tabsync.deployments.perform import COMMAND, perform
from tabsync.deployments.pipeline import wait_for_pipeline
from tabsync.deployments.request import Bounds, Guard, bounds_of
from tabsync.deployments.secrets import Mask, secrets_of
from tabsync.deployments.verify import verify
from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Planned
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.kernel.units import human_seconds
from tabsync.migrations.folder import with_folder
from tabsync.postgres.catalog import check_primary, identity
from tabsync.postgres.settings import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tabsync.workspace import Workspace

PIPELINE = "pipeline"
_LIMITS = Limits(lock_timeout=1_000, statement_timeout=10_000)


def plan_guard(
    workspace: Workspace, request: Guard, environment: Mapping[str, str], *, stream: str
) -> Planned[Workspace]:
    """Plan it: to look, to see to the gate, to wait, to run, to verify.

    environment: that of the command; stream: "stdout" or "stderr", where its output goes, or "pipeline" where somebody
    else runs it. Raises BadUsage, Refused on a
    standby.
    """
    request = with_folder(workspace, request)
    if not request.command:
        raise BadUsage("no command is given", "tabsync migration guard -- npx prisma migrate deploy")
    bounds = bounds_of(request)
    folder = str(request.folder.absolute()) if request.folder else None
    with workspace.connect("deployments", _LIMITS) as connection:
        check_primary(connection)
        target = identity(connection)
    shown = shown_command(request.command, environment)
    steps = [
        _begin_step(target, folder, bounds),
        *_gate_step(workspace, bounds),
        _clear_step(target, bounds),
    ]
    if not request.check:
        steps += [_perform_step(target, folder, shown, bounds, stream), _verify_step(target, folder)]
    title = f"{'Check for' if request.check else 'Run under guard'}: {shown}"
    kept = replace(workspace, secrets={**workspace.secrets, COMMAND: json.dumps(request.command)})
    notes = [] if folder else ["without --folder it is not known which tables the migrations change"]
    return Planned(Plan("migration guard", title, tuple(steps), target), tuple(notes), workspace=kept)


def shown_command(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command as it is shown and recorded: on one line, without secrets."""
    import shlex

    mask = Mask(secrets_of(environment))
    return mask(shlex.join(map(mask, words)))  # each word first: what quotes it would break a secret in two


def _begin_step(target: Facts, folder: str | None, bounds: Bounds) -> Step:
    return Step(
        "begin",
        "See that no migration has failed and none runs",
        call(check_begin, target=target, folder=folder, wait=bounds.wait, begun=bounds.begun),
        "read the histories of migrations, and who holds the locks of their tools",
    )


def _gate_step(workspace: Workspace, bounds: Bounds) -> list[Step]:
    found = gate_of(workspace)
    if found is None:
        return []
    name, items = found
    commands = "\n".join(f"tabsync {' '.join(one.words)}" if one.words else one.text for one in items)
    step = Step(
        "gate",
        f"See that all is there that the manual asks for before {name}",
        call(check_gate, prove=bounds.prove),
        commands,
        Risk.REVERSIBLE,
        "no undo needed: a backup more harms nothing",
    )
    return [step]


def _clear_step(target: Facts, bounds: Bounds) -> Step:
    return Step(
        "clear",
        "Wait for what the migration would wait for",
        call(check_clear, target=target, wait=bounds.wait),
        f"look for old transactions on its tables and for standbys, for {human_seconds(bounds.wait)} at most",
    )


def _perform_step(target: Facts, folder: str | None, shown: str, bounds: Bounds, stream: str) -> Step:
    what: Facts = {"target": target, "folder": folder, "bounds": asdict(bounds)}
    return Step(
        "run",
        "Run the command, and watch its sessions",
        call(wait_for_pipeline, **what) if stream == PIPELINE else call(perform, **what, stream=stream),
        shown,
        Risk.REVERSIBLE,
        "what a migration did: tabsync migration status; the backup before it: tabsync backup list",
    )


def _verify_step(target: Facts, folder: str | None) -> Step:
    return Step(
        "verify",
        "Verify what it did",
        call(verify, target=target, folder=folder),
        "read the histories again, and the catalog; read the key tables from a new session; measure the thresholds",
    )
