"""What a tool has noted, or a file of SQL says, fit to be shown: bounded, without passwords, plain to a terminal."""

from __future__ import annotations

import re

from tabsync.kernel.plain import plain
from tabsync.providers.application import without_secrets

_MOST = 4_000  # characters
_LITERAL = re.compile(
    r"(?P<before>\bpassword\s+)(?:[eE]?'(?:[^'\\]|''|\\.)*(?:'|\Z)|(?P<tag>\$\w*\$).*?(?:(?P=tag)|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_OPEN = re.compile(r"(?:passw\w*|secret|token|key)['\"]?\s*[=:]\s*['\"][^'\"]*\Z|://[^\s/]*\Z", re.IGNORECASE)


def masked(text: str, most: int = _MOST) -> str:
    """The beginning of somebody's text. Where it is cut, nothing is left that could be a part of a password."""
    cut = text[:most]
    if len(text) >= most:
        cut = _OPEN.sub("***", cut[: max(cut.rfind(" "), cut.rfind("\n"), 0)])
    return plain(_LITERAL.sub(r"\g<before>***", without_secrets(cut)))
