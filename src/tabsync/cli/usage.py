"""Whether a command that a manual names is one that could be typed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tabsync.cli.tree import build
from tabsync.procedures import named_in


def wrong_usage(words: Sequence[str]) -> str:
    """What is wrong with the options and arguments that some words give a command of ours, or ""."""
    found = named_in(words)
    command = build(found[0].words.split()) if found else None
    if found is None or command is None:
        return ""
    try:
        command.make_context(command.name, list(found[1]))
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        return message[:1].lower() + message[1:]
    return ""
