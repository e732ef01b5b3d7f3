"""Supabase's Metrics API: the machine of a project, which SQL can't see: its disk, CPU, memory and pooler.

https://supabase.com/docs/guides/telemetry/metrics

The key comes from SUPABASE_SECRET_KEY (SUPABASE_SERVICE_ROLE_KEY, as it was called) or from the file that
tabsync.toml names. It stands in one request header, and in no argument, error, log or record.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabsync.kernel.errors import BadUsage, CannotConnect, NotAllowed
from tabsync.providers.http import Fetched, fetch
from tabsync.providers.prometheus import Point, read_points
from tabsync.providers.supabase import check_ref, place_of

KEYS = ("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY")
_URL_OVERRIDE = "TABSYNC_SUPABASE_METRICS_URL"
"""For tests only: another place that speaks the API. Loopback or https, since the key goes there."""

SECONDS = 5.0
"""For the whole answer: who asks measures other things too."""

_MOST = 8 << 20  # bytes; the documented series are some hundred kB
_USER, _PATH = "service_role", "/customer/v1/privileged/metrics"
_KINDS = ("text/plain", "application/openmetrics-text")
_SIZE, _FREE, _AVAIL = (f"node_filesystem_{one}_bytes" for one in ("size", "free", "avail"))
_TOTAL, _AVAILABLE = "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"
_CPU = "node_cpu_seconds_total"
_ACTIVE, _WAITING = (f"pgbouncer_pools_client_{one}_connections" for one in ("active", "waiting"))
_WAIT, _CLIENTS = "pgbouncer_pools_client_maxwait_seconds", "pgbouncer_config_max_client_connections"
_WANTED = frozenset({_SIZE, _FREE, _AVAIL, _TOTAL, _AVAILABLE, _CPU, _ACTIVE, _WAITING, _WAIT, _CLIENTS})
_NO_DISK = ("tmpfs", "rootfs")
_GUEST = ("guest", "guest_nice")  # they are in "user" and "nice" already
_DATA = ("/data", "/")  # where the data are, on newer machines and on older ones


@dataclass(frozen=True, slots=True)
class Used:
    """How much of something is used. Both are finite, and value is not negative; of: None where nothing says it."""

    value: float
    of: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds that all processors together have worked and idled since the machine was started."""

    busy: float
    idle: float
    processors: int

    def since(self, before: CpuTime) -> float | None:
        """Percent of the time since then in which they worked; None when no time has passed, or it began anew."""
        busy, idle = self.busy - before.busy, self.idle - before.idle
        if busy < 0 or idle < 0 or busy + idle <= 0 or self.processors != before.processors:
            return None
        return busy * 100 / (busy + idle)


@dataclass(frozen=True, slots=True)
class Machine:
    """What an answer says. Each method raises CannotConnect when that isn't in it, or is no number."""

    points: Sequence[Point]

    def disk(self) -> Used:
        """The disk that the data are on, in bytes; what only root may use is no part of it."""
        sizes = self._by_place(_SIZE)
        where = next((one for one in _DATA if one in sizes), None)
        if where is None or (where == "/" and len(sizes) > 1):
            raise _lacks("the disk of the data")
        free, avail = self._by_place(_FREE), self._by_place(_AVAIL)
        if where not in free or where not in avail or not 0 <= avail[where] <= free[where] <= sizes[where]:
            raise _lacks("how much of the disk is used")
        used = sizes[where] - free[where]
        return Used(used, _positive(used + avail[where], "the size of the disk"), f"of {where} at Supabase")

    def memory(self) -> Used:
        """The memory of the machine, in bytes. What the system would give to whoever asks for it is not used."""
        total, available = self._one(_TOTAL), self._one(_AVAILABLE)
        if available > total:
            raise _lacks("how much memory is used")
        return Used(total - available, _positive(total, "the size of the memory"))

    def cpu(self) -> CpuTime:
        """The processors' time so far: a counter, so that two looks tell how much of it is used."""
        found = [one for one in self._of(_CPU) if one.labels.get("mode") not in _GUEST]
        processors = {one.labels.get("cpu") for one in found}
        if not found or {one.labels.get("cpu") for one in found if one.labels.get("mode") == "idle"} != processors:
            raise _lacks("the processors' time")
        idle = sum(_finite(one) for one in found if one.labels.get("mode") == "idle")
        busy = sum(_finite(one) for one in found if one.labels.get("mode") != "idle")
        return CpuTime(busy, idle, len(processors))

    def clients(self) -> Used:
        """The clients that are connected to the pooler, and how many may be."""
        active, waiting = self._pools(_ACTIVE), self._pools(_WAITING)
        return Used(active + waiting, _positive(self._one(_CLIENTS), "how many clients may connect"))

    def waiting(self) -> Used:
        """The clients that wait for a connection to the server."""
        return Used(self._pools(_WAITING), None)

    def wait(self) -> Used:
        """For how many seconds the client has waited that has waited longest."""
        return Used(max((_finite(one) for one in self._needed(_WAIT)), default=0.0), None)

    def _pools(self, name: str) -> float:
        return sum(_finite(one) for one in self._needed(name))

    def _of(self, name: str) -> list[Point]:
        """The samples of a series, of this machine; the same one twice counts once."""
        found: dict[tuple[tuple[str, str], ...], Point] = {}
        for one in self.points:
            if one.name == name:
                key = tuple(sorted(one.labels.items()))
                if key in found and found[key].value != one.value:
                    raise CannotConnect(f"Supabase gives {name} twice, with two values", "try again later")
                found[key] = one
        return list(found.values())

    def _needed(self, name: str) -> list[Point]:
        found = self._of(name)
        if not found:
            raise _lacks(name)
        return found

    def _one(self, name: str) -> float:
        found = self._needed(name)
        if len(found) > 1:
            raise CannotConnect(f"Supabase gives {name} of {len(found)} machines", "look for a newer tabsync")
        return _finite(found[0])

    def _by_place(self, name: str) -> dict[str, float]:
        """By where each file system is mounted."""
        found: dict[str, float] = {}
        for one in self._of(name):
            place = one.labels.get("mountpoint", "")
            if one.labels.get("fstype") in _NO_DISK:
                continue
            if found.setdefault(place, _finite(one)) != one.value:
                raise CannotConnect(f"Supabase gives {name} of {place} twice, with two values", "try again later")
        return found


@dataclass(frozen=True, slots=True)
class MetricsApi:
    """Where to ask for the figures of a project."""

    ref: str
    url: str
    key: str = field(repr=False)

    def look(self) -> Machine:
        """Ask once. Raises CannotConnect, NotAllowed, BadUsage (no such project)."""
        answer = fetch(f"{self.url}{_PATH}", (_USER, self.key), seconds=SECONDS, most=_MOST)
        self._check(answer)
        return read_machine(answer.body, self.ref)

    def _check(self, answer: Fetched) -> None:
        if answer.status in (401, 403):
            raise NotAllowed(
                f"Supabase does not accept the key in {KEYS[0]} for the metrics ({answer.status})",
                "copy a secret key from the project's page Settings, API Keys",
            )
        if answer.status == 404:
            raise BadUsage(
                f"Supabase has no metrics of the project {self.ref}",
                'check project = "..." in tabsync.toml; the plan of the project may have none',
            )
        if answer.status != 200:
            raise CannotConnect(f"Supabase's Metrics API answered {answer.status}", "https://status.supabase.com")
        if answer.kind not in _KINDS:
            shown = answer.kind if answer.kind.isprintable() and len(answer.kind) < 60 else "something else"
            raise CannotConnect(f"Supabase's Metrics API answered {shown or 'nothing'} instead of metrics")


def open_metrics(ref: str, key_file: Path | None) -> MetricsApi:
    """The API of a project. key_file: what tabsync.toml names, None where it names none; the environment comes first.

    Raises NotAllowed when there is no key, BadUsage when something is misspelled.
    """
    check_ref(ref)
    key = next((value for one in KEYS if (value := os.environ.get(one, "").strip())), "")
    if not key and key_file is not None:
        key = _key_in(key_file)
    if not key:
        raise NotAllowed(
            f"{KEYS[0]} is not set, which Supabase's Metrics API asks for",
            "set it, or metrics_key_file in [provider]; the key: the project's page Settings, API Keys",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise BadUsage("what should be Supabase's secret key is none", "copy it again")
    return MetricsApi(ref, place_of(_URL_OVERRIDE, f"https://{ref}.supabase.co"), key)


def read_machine(body: bytes, ref: str) -> Machine:
    """What an answer says of a project's own machine; those of its read replicas are left out.

    Raises CannotConnect when it is not in the format, or of another project.
    """
    found = read_points(body, _WANTED)
    if strangers := {name for one in found if (name := one.labels.get("supabase_project_ref", ref)) != ref}:
        shown = ", ".join(sorted(strangers))[:60]
        raise CannotConnect(f"Supabase's metrics are of {shown!r}, and not of {ref}", "check project in tabsync.toml")
    return Machine([one for one in found if one.labels.get("supabase_identifier", ref) == ref])


def _key_in(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        raise BadUsage(f"can't read {path}, which has Supabase's key: {told}", "check its permissions") from None


def _finite(point: Point) -> float:
    if not math.isfinite(point.value) or point.value < 0:
        raise CannotConnect(f"Supabase gives {point.value} as {point.name}", "try again later")
    return point.value


def _positive(value: float, what: str) -> float:
    if value <= 0:
        raise _lacks(what)
    return value


def _lacks(what: str) -> CannotConnect:
    return CannotConnect(f"Supabase's metrics don't say {what}", "look for a newer tabsync")
