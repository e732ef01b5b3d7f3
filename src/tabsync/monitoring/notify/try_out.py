"""tabsync alert notify-test: a message marked TEST to each contact, by its channel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

from tabsync.kernel.clock import iso, local, now
from tabsync.kernel.errors import BadUsage, Exit
from tabsync.kernel.page import Cell, Page
from tabsync.kernel.plan import Plan
from tabsync.kernel.procedure import Done
from tabsync.kernel.request import Argument
from tabsync.kernel.step import Facts, Risk, Step, call
from tabsync.ledger.evidence import add_evidence
from tabsync.manual.load import load
from tabsync.manual.people import Contact
from tabsync.monitoring.notify.message import id_of
from tabsync.monitoring.notify.send import Sent, send
from tabsync.postgres.conninfo import place

if TYPE_CHECKING:
    from tabsync.workspace import Context, Workspace

TESTED = "notify-test"
"""The kind of evidence that it leaves; the subject is the contact."""


@dataclass(frozen=True, slots=True)
class TryOut:
    """What one may ask of alert notify-test."""

    contact: Annotated[str, Argument("Only this contact: its role in the manual.")] = ""


def plan_try_out(workspace: Workspace, request: TryOut) -> Plan:
    """Plan to send a test message. Raises BadUsage when there is no such contact, or none that a machine can tell."""
    contacts = chosen(load(workspace.manual_path).contacts, request.contact)
    names = ", ".join(one.role for one in contacts)
    step = Step(
        "send",
        f"Send a message marked TEST to {names}",
        call(send_to_each, roles=[one.role for one in contacts]),
        "one message to each, by the channel that the manual names",
        risk=Risk.REVERSIBLE,
        undo="no undo: a message that was sent stays sent",
        repeatable=True,
    )
    return Plan(procedure="alert notify-test", title="Test the channels", steps=(step,), target={"contacts": names})


def chosen(contacts: Sequence[Contact], role: str) -> list[Contact]:
    """The contacts to be told. Raises BadUsage."""
    if role:
        found = [one for one in contacts if one.role.lower() == role.lower()]
        if not found:
            raise BadUsage(f"the manual has no contact {role!r}", "to list them: tabsync manual show contacts")
        if not found[0].by:
            raise BadUsage(f"{found[0].role} has no channel", "name one in the column By of the manual's contacts")
        return found
    found = [one for one in contacts if one.by]
    if not found:
        raise BadUsage("no contact of the manual has a channel", "name one in the column By of the manual's contacts")
    return found


def send_to_each(context: Context, *, roles: list[str]) -> Facts:
    """Send it to each, at the same time. Gives who was told, and leaves evidence for each."""
    workspace = context.workspace
    contacts = [one for one in load(workspace.manual_path).contacts if one.role in roles]
    with ThreadPoolExecutor(max(1, len(contacts))) as pool:
        sent = list(pool.map(lambda one: _tell(workspace, one), contacts))
    told = []
    for contact, one in zip(contacts, sent, strict=True):
        add_evidence(
            workspace.ledger(), TESTED, contact.role, ok=one.ok, facts={"channel": contact.by, "fact": one.fact}
        )
        told.append({"contact": contact.role, "channel": contact.by, "ok": one.ok, "fact": one.fact})
    return {"told": told}


def address_of(workspace: Workspace, channel: str) -> tuple[str, str]:
    """The address of a channel, or why there is none."""
    found = dict(workspace.channels)
    if channel not in found:
        return "", f"tabsync.toml has no channel {channel!r} in [notify]"
    return found[channel], "" if found[channel] else f"the file of the channel {channel!r} can't be read, or is empty"


def _tell(workspace: Workspace, contact: Contact) -> Sent:
    address, trouble = address_of(workspace, contact.by)
    if trouble:
        return Sent(trouble)
    name = workspace.name or place(workspace.conninfo)
    text = (
        f"This is a TEST of the channel {contact.by}, and there is nothing to do.\n"
        f"{contact.role} is told of alerts of {name} in this way.\nsent {local(iso(now()))}\n"
    )
    delivery = id_of(f"test-{uuid4().hex[:12]}", contact.role, "test")
    return send(address, contact.address, f"[TEST] tabsync reaches {contact.role} ({name})", text, delivery)


def show(done: Done[Workspace, TryOut]) -> Page:
    """Who was told, and whose channel failed."""
    told = done.results["send"]["told"]
    failed = [one for one in told if not one["ok"]]
    page = Page("alert notify-test", {"told": told})
    if failed:
        page.line((f"{len(failed)} of {len(told)} WERE NOT TOLD", "strong bad"))
        page.exit_code = Exit.PROBLEM_FOUND
    else:
        page.line((f"ALL TOLD: {len(told)}", "strong good"), ": whether it was read, only they can say")
    page.table(("Contact", "By", ""), map(_row, told))
    return page


def _row(one: Facts) -> tuple[Cell, ...]:
    what: Cell = ("sent", "good") if one["ok"] else (one["fact"], "bad")
    return one["contact"], one["channel"], what
