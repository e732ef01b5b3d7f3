"""What one can do with incidents, declared."""

from __future__ import annotations

from tabsync.kernel.procedure import ON_REQUEST, Group, Procedure

_LEDGER = "nothing: the database may be down"
_SAY = "tabsync.incidents.say"

GROUPS: tuple[Group, ...] = (
    Group("incident", "What is wrong, who has it, what was done: a record that fills itself.", "tabsync incident show"),
)


def _said(words: str, summary: str, example: str, request: str, details: str = "") -> Procedure:
    return Procedure(
        words=f"incident {words}",
        summary=summary,
        example=example,
        details=details,
        request=f"{_SAY}:{request}",
        takes="dry-run json",
        plan=f"{_SAY}:plan_{words}",
        show=f"{_SAY}:show",
        surfaces=ON_REQUEST,
        operator="responder",
        needs=_LEDGER,
    )


PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        words="incident list",
        summary="List the incidents, the newest first.",
        example="tabsync incident list",
        read="tabsync.incidents.show:look_list",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    Procedure(
        words="incident show",
        summary="Show an incident: what is wrong, since when, who has it, all that happened, and the next step.",
        example="tabsync incident show",
        details=(
            "The timeline writes itself: alerts, messages that were sent, acknowledgements, runs, steps of runbooks, "
            "windows, and what people noted. Exit code 1: it hurts, or may again."
        ),
        request="tabsync.incidents.show:Show",
        read="tabsync.incidents.show:look_show",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
    _said(
        "open",
        "Open an incident. A runbook that is run opens one by itself.",
        'tabsync incident open "Payments fail" --severity major',
        "Open",
        "One is open for a database at a time: what comes meanwhile joins it. Its severity, by the manual's "
        "Severities, decides who is told, how often, and whether its root cause is owed.",
    ),
    _said(
        "note",
        "Write down what you saw, did or decided.",
        'tabsync incident note "the gateway says it is down"',
        "Note",
    ),
    _said("ack", "Take care of an incident; or say who leads, or how bad it is.", "tabsync incident ack", "Take"),
    _said("mitigate", "Say that it hurts nobody any more.", 'tabsync incident mitigate --note "failed over"', "Move"),
    _said("resolve", "Say that its reason is gone.", 'tabsync incident resolve --note "the disk was replaced"', "Move"),
    _said("reopen", "Say that it is back.", 'tabsync incident reopen --note "it fails again"', "Move"),
    _said(
        "check",
        "Tick a box of the checklist off, or leave it out for a reason.",
        'tabsync incident check 6 --note "met on Tuesday"',
        "Check",
        "What the ledger knows is a fact, and can't be ticked off: a drill that passed, a manual that was changed.",
    ),
    _said(
        "action",
        "Write down what is to be done so that it doesn't happen again, or that it is done.",
        'tabsync incident action "a second gateway" --owner Ana --due 2026-12-31',
        "Act",
        "It stays in the status until it is done: tabsync incident action 1 --done",
    ),
    _said(
        "close",
        "Close an incident, once its boxes are ticked off and its root cause is known.",
        'tabsync incident close --cause "an expired key of the gateway"',
        "Close",
    ),
    Procedure(
        words="incident report",
        summary="Write the post-mortem of an incident, in Markdown.",
        example="tabsync incident report --file post-mortem.md",
        request="tabsync.incidents.report:Report",
        read="tabsync.incidents.report:look_report",
        takes="json",
        operator="viewer",
        needs=_LEDGER,
    ),
)
