"""tabsync runbook find: a text from the command line, or from standard input."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.runbooks.find import Find

_PIECE = 1 << 20  # bytes
_SECONDS = 20.0  # a pipe need not end


def find_command(terminal: Terminal, request: Find) -> int:
    """Find what fits. Raises BadUsage when there is neither a text nor an input."""
    from tabsync.cli.perform import show
    from tabsync.runbooks.find import found_in

    text, left_out = text_of(request.text)
    return show(terminal, found_in(terminal.workspace(), text, left_out))


def text_of(given: str) -> tuple[str, int]:
    """The text, or standard input where it is "-" or missing and somebody writes there; and bytes left out."""
    if given not in ("", "-") or (not given and sys.stdin.isatty()):
        return given, 0
    from tabsync.symptoms.text import LONGEST

    head, tail, left_out = b"", b"", 0
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until and (piece := sys.stdin.buffer.read(_PIECE)):
        head, piece = head + piece[: LONGEST // 2 - len(head)], piece[max(0, LONGEST // 2 - len(head)) :]
        left_out += max(0, len(tail) + len(piece) - LONGEST // 2)
        tail = (tail + piece)[-LONGEST // 2 :]
    between = b"\n" if left_out else b""
    return (head + between + tail).decode("utf-8", "replace"), left_out
