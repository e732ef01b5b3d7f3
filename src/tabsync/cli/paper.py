"""What results are printed on: everything fits its width, but for lines that hold a command; names stay as they are."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


class Paper(Console):
    """rich's console, on which no line is broken that names a command of ours: it is there to be copied.

    A table may be called "[/b]" or ":100:", so brackets and colons mean nothing unless a line of ours says markup=True.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; a text with a command in it is left for the terminal to wrap."""
        options.setdefault("markup", any(not isinstance(one, str) for one in objects))  # the cells of our tables
        if any(isinstance(one, str | Text) and "tabsync " in str(one) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)
