"""What a command that a manual names would be, if it were typed."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import click

from tabsync.backups.retention.policy import class_of, is_ours
from tabsync.cli.tree import build
from tabsync.kernel.procedure import Procedure
from tabsync.manual.check_schedule import Commands
from tabsync.manual.model import RetentionClass
from tabsync.manual.when import When
from tabsync.procedures import named_in
from tabsync.schedule.items import barred, without_secrets

_PLACEHOLDER = re.compile("<[^<>]+>")
_NUMBER = "1"
"""What a person may put in for `<pid>`; where text is asked for, `<pid>` itself is as good."""


def wrong_usage(words: Sequence[str]) -> str:
    """What is wrong with the options and arguments that some words give a command of ours, or ""."""
    found = named_in(words)
    command = build(found[0].words.split()) if found else None
    if found is None or command is None or {"-h", "--help"} & {*found[1]}:  # it would be printed here
        return ""
    wrong = _wrong(command, found[1])
    return wrong and _wrong(command, [_NUMBER if _PLACEHOLDER.fullmatch(word) else word for word in found[1]])


def _wrong(command: click.Command, words: Sequence[str]) -> str:
    try:
        command.make_context(command.name, list(words))
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        return message[:1].lower() + message[1:]
    return ""


def asked_by(words: Sequence[str]) -> tuple[Procedure, dict[str, Any]] | None:
    """The procedure that some words name, and what they ask of it, defaults included; None when it is not built."""
    found = named_in(words)
    command = build(found[0].words.split()) if found else None
    if found is None or command is None:
        return None
    # Nothing is refused here, and no option acts: wrong_usage says what is wrong.
    return found[0], command.make_context(command.name, list(found[1]), resilient_parsing=True).params


def meaning(words: Sequence[str]) -> Hashable:
    """What is equal for two spellings of a command: options in another order, or a default that is spelled out."""
    asked = asked_by(words)
    if asked is None:
        return tuple(words)
    return asked[0].words, tuple(sorted((name, str(value)) for name, value in asked[1].items()))


def feeds(words: Sequence[str], classes: Sequence[RetentionClass]) -> str:
    """The class of the backups that a command takes; "" when it takes none."""
    asked = asked_by(words)
    if asked is None:
        return ""
    procedure, values = asked
    kind, reason = {
        "backup take": (str(values.get("kind")), str(values.get("reason"))),
        "drill": ("" if values.get("backup") else "full", "drill"),
        "wal receive": ("physical", ""),  # what is recovered with it is of that class
    }.get(procedure.words, ("", ""))
    row = class_of(kind, reason, classes) if kind else None
    return row.name if row else ""


def cant_start(words: Sequence[str], when: When | None = None) -> str:
    """Why a schedule can't start a command, "" when it can or this version doesn't have it."""
    found = named_in(words)
    return (without_secrets(words)[1] or barred(found[0], when)) if found else ""


COMMANDS = Commands(meaning=meaning, feeds=feeds, cant_start=cant_start, is_ours=is_ours)
