"""What payments failures shows: the verdict in one line, each gateway, what failed, and one example of each code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabsync.kernel.clock import local
from tabsync.kernel.errors import Exit
from tabsync.kernel.page import Cell, Page, Style
from tabsync.kernel.step import Facts
from tabsync.kernel.units import human_seconds
from tabsync.profiles.tabsync.payments.codes import UNDOCUMENTED, WORDS, Side, says_key, side_of
from tabsync.profiles.tabsync.payments.groups import Group
from tabsync.profiles.tabsync.payments.seen import STATUSES, Seen
from tabsync.profiles.tabsync.payments.verdict import Judged, Verdict, overall, percent

_STYLES: dict[Verdict, Style] = {
    Verdict.USUAL: "strong good",
    Verdict.UNKNOWN: "strong warning",
    Verdict.WORSE: "strong bad",
}
_CODES = {Verdict.USUAL: Exit.DONE, Verdict.UNKNOWN: Exit.UNKNOWN, Verdict.WORSE: Exit.PROBLEM_FOUND}
_ROWS, _EXAMPLES = 12, 8
_SKEW = 60.0  # seconds


def page_of(parts: Sequence[Judged], groups: Sequence[Group], seen: Seen, facts: Facts) -> Page:
    """The page. parts: the verdict on all first, then on each gateway."""
    verdict = overall(parts)
    line = _line(parts) if parts else "; ".join(seen.why) or "the payments could not be read"
    listed = facts.pop("listed")
    data = facts | {
        "verdict": verdict.value,
        "line": line,
        "restaurant": seen.restaurant or None,
        "gateways": [one.to_json() for one in parts],
        "groups": [one.to_json() for one in groups[:listed]],
        "groups_left_out": max(0, len(groups) - listed),
        "unknown": seen.why,
    }
    page = Page("payments failures", data, exit_code=_CODES[verdict])
    page.line(verdict.value.upper() if parts else "UNKNOWN", f": {line}", style=_STYLES[verdict])
    page.line(f"The last {facts['span']}, against the same time of the 7 days before.", style="quiet")
    if parts:
        heading = ("Gateway", "Tried", "Failed", "Undecided", "Do not end", "Share", "Usually", "Last tried", "Verdict")
        page.table(heading, map(_gateway, parts), right=heading[1:7])
    _groups(page, groups)
    _remarks(page, parts, groups, seen, facts)
    return page


def _line(parts: Sequence[Judged]) -> str:
    """The verdict in one line: each gateway, the worst first; all together only where none of them says it."""
    single = parts if len(parts) == 1 else parts[1:]
    loud = [one for one in single if one.verdict is not Verdict.USUAL]
    if not loud and parts[0].verdict is not Verdict.USUAL:
        return f"all gateways: {parts[0].why}"
    order = [*sorted(loud, key=lambda one: one.verdict is Verdict.UNKNOWN), *(one for one in single if one not in loud)]
    return "; ".join(f"{one.name}: {one.why if one in loud or len(single) == 1 else 'as usual'}" for one in order)


def _gateway(one: Judged) -> tuple[Cell, ...]:
    return (
        one.name or "all",
        f"{one.now.tried:,}",
        f"{one.now.failed:,}",
        f"{one.now.undecided:,}",
        f"{one.now.stuck:,}",
        percent(one.now.share) if one.now.tried else "-",
        percent(one.usual.share),
        local(one.to_json()["last_tried"])[11:] if one.now.latest else "-",
        (one.verdict.value, _STYLES[one.verdict].removeprefix("strong ")),  # type: ignore[return-value]
    )


def _groups(page: Page, groups: Sequence[Group]) -> None:
    if not groups:
        return
    rows = [
        (one.gateway or "-", one.method, one.restaurant or "-", one.code, side_of(one.code).value, f"{one.payments:,}")
        for one in groups[:_ROWS]
    ]
    page.table(("Gateway", "Method", "Restaurant", "Code", "Side", "Failed"), rows, right=("Failed",), title="Failed")
    if rest := groups[_ROWS:]:
        more = sum(one.payments for one in rest)
        page.line(
            f"and {more:,} payments in {len(rest):,} smaller groups: --json, --gateway, --restaurant", style="quiet"
        )
    heading = ("Time", "Payment", "Code", "Shown of its metadata")
    page.table(heading, _examples(groups), whole=("Payment", "Code"), title="The newest of each code")


def _examples(groups: Sequence[Group]) -> Iterator[tuple[Cell, ...]]:
    codes = list(dict.fromkeys(one.code for one in groups))[:_EXAMPLES]
    for code in codes:
        newest = max((one.example for one in groups if one.code == code), key=lambda one: one.at)
        shown = newest.said.words() if newest.said else "unknown"
        yield local(newest.at.isoformat())[11:19], newest.id, code, shown


def _remarks(page: Page, parts: Sequence[Judged], groups: Sequence[Group], seen: Seen, facts: Facts) -> None:
    for one in seen.why if parts else ():
        page.note(f"unknown: {one}")
    if abs(facts["clock_ahead_seconds"]) > _SKEW:
        way = "ahead of" if facts["clock_ahead_seconds"] > 0 else "behind"
        told = human_seconds(abs(facts["clock_ahead_seconds"]))
        page.note(
            f"the database's clock is {told} {way} this machine's: gateways refuse what is signed at another time"
        )
    if facts["writers_ahead_seconds"] > _SKEW:
        page.note("the newest payments are of the future: who writes them has another clock than the database")
    if seen.table.get("kind") == "v":
        page.note("payments is a view here: what it leaves out is not counted")
    if seen.table.get("indexed") is False and seen.table.get("kind") in ("r", "p"):
        page.note("payments has no index that begins with created_at: this reads all of it")
    if any(one.code == UNDOCUMENTED for one in groups):
        page.note(
            "a code that no gateway documents is not shown, as it could be anything: look at the payment by its id"
        )
    unclear = sum(one.now.unclear for one in parts[:1])
    if unclear:
        known = ", ".join(STATUSES)
        page.note(f"unknown: what became of {unclear:,} payments: their status is none of {known}")
    stuck = sum(one.now.stuck for one in parts[:1])
    if stuck:
        page.note(
            f"{stuck} are PENDING for more than 15 minutes: paid or not, the gateway knows; do not charge them again"
        )
    _next(page, parts, groups)


def _next(page: Page, parts: Sequence[Judged], groups: Sequence[Group]) -> None:
    if overall(parts) is Verdict.USUAL:
        return
    if any(says_key(one.code) for one in groups):
        page.hint("the gateway does not accept our key: renew it at the gateway, then tabsync app restart")
    if {one.side for one in parts if one.side} == {Side.GUEST}:
        page.hint(f"the gateway answers; these are on {WORDS[Side.GUEST]}: one bank, or somebody who tries cards")
    page.hint("what the gateways say: tabsync payments gateways; what changed here: tabsync payments changes")
