"""tabsync runbook find: a text from the command line, or from standard input."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.runbooks.find import Find

_MOST = 16_000_000
"""Bytes that are read from standard input: more is no message, and a pipe need not end."""


def find_command(terminal: Terminal, request: Find) -> int:
    """Find what fits. Raises BadUsage when there is neither a text nor an input."""
    from tabsync.cli.perform import show
    from tabsync.runbooks.find import look_find

    return show(terminal, look_find(terminal.workspace(), replace(request, text=text_of(request.text))))


def text_of(given: str) -> str:
    """The text, or standard input where it is "-" or missing and somebody writes there."""
    if given not in ("", "-") or (not given and sys.stdin.isatty()):
        return given
    return sys.stdin.buffer.read(_MOST).decode("utf-8", "replace")
