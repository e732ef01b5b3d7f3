"""What one may ask of migration guard and migration rehearse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.request import Argument, Option
from tabsync.kernel.units import parse_duration


@dataclass(frozen=True, slots=True)
class Guard:
    """What one may ask of migration guard."""

    command: Annotated[tuple[str, ...], Argument("The command of the deployment, after --.", metavar="-- COMMAND...")]
    folder: Annotated[
        Path | None,
        Option("The folder of the migrations, or of the project; without it, what they change is not known."),
    ] = None
    check: Annotated[bool, Option("Do everything but run the command.")] = False
    wait: Annotated[
        str, Option("How long to wait for what is in the way: another deployment, a transaction.", metavar="DURATION")
    ] = "1min"
    lock_timeout: Annotated[
        str,
        Option(
            "How long a statement of the command may wait for a lock; 0 for as long as it takes.", metavar="DURATION"
        ),
    ] = "5s"
    block_budget: Annotated[
        str,
        Option(
            "Cancel its statement when others have waited for it for so long; without it none is.", metavar="DURATION"
        ),
    ] = ""
    allow_begun: Annotated[
        bool, Option("Run it also where something of a pending migration is there already, as its tool will find it.")
    ] = False
    prove_within: Annotated[
        str,
        Option(
            "Go on without a proof of the backup after so long, and say so; without it, the proof is needed.",
            metavar="DURATION",
        ),
    ] = ""
    server: Annotated[
        str,
        Option(
            "Let the service at this URL see to backup, proof and evidence, with the token in TABSYNC_TOKEN.",
            metavar="URL",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Rehearse:
    """What one may ask of migration rehearse."""

    command: Annotated[tuple[str, ...], Argument("The command of the deployment, after --.", metavar="-- COMMAND...")]
    folder: Annotated[Path | None, Option("The folder of the migrations, or of the project.")] = None
    backup: Annotated[str, Option("A full backup: its id, or latest.", ("--from",))] = "latest"


@dataclass(frozen=True, slots=True)
class Bounds:
    """The durations of a request, in seconds; budget, prove: None for none. begun: what is half there may run."""

    wait: float
    lock: float
    budget: float | None
    prove: float | None
    begun: bool = False


def bounds_of(request: Guard) -> Bounds:
    """Its durations. Raises BadUsage for one that isn't any."""
    return Bounds(
        _seconds("--wait", request.wait),
        _setting("--lock-timeout", request.lock_timeout),
        _seconds("--block-budget", request.block_budget) if request.block_budget else None,
        _seconds("--prove-within", request.prove_within) if request.prove_within else None,
        request.allow_begun,
    )


def _setting(name: str, text: str) -> float:
    """A duration that PostgreSQL takes for lock_timeout: whole milliseconds in 32 bits, 0 for no bound.

    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT
    """
    seconds = _seconds(name, text)
    if seconds and not 1 <= round(seconds * 1000) < 2**31:
        raise BadUsage(f"{name} {text!r} is not between 1 ms and 24 days", "write it as 5s; 0 for no bound")
    return seconds


def _seconds(name: str, text: str) -> float:
    try:
        return 0.0 if text.strip() == "0" else parse_duration(text).total_seconds()
    except ValueError:
        raise BadUsage(f"{name} {text!r} is no duration", "write it as 30s, 5min or 2h") from None
