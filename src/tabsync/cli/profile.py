"""Which profile's commands there are: looked up before a command is understood, since it may be one of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path


def use_configured(words: Sequence[str]) -> None:
    """Use the profile that the tabsync.toml of this command names, if it names one.

    words: of the command line. A file that isn't there, or is wrong, is told by the command.
    """
    from tabsync.kernel.errors import BadUsage
    from tabsync.system.config import config_path

    try:
        path = config_path(_config(words), database=_value_of("--database", words))
    except BadUsage:
        return
    from tabsync.procedures import is_ours, use
    from tabsync.system.profiles import profile_in

    try:
        use(profile_in(path))
    except BadUsage as error:
        first = next((one for one in words if not one.startswith("-")), "")
        if first and not is_ours(first):  # it may be the profile's: else the command says it
            sys.stderr.write(f"note: {error.fact}; {error.hint}\n")


def _config(words: Sequence[str]) -> Path | None:
    named = _value_of("--config", words)
    return Path(named) if named else None


def _value_of(option: str, words: Sequence[str]) -> str | None:
    """The value of an option; what follows "--" is another program's."""
    ours = words[: words.index("--")] if "--" in words else words
    for number, word in enumerate(ours):
        if word == option:
            return ours[number + 1] if number + 1 < len(ours) else None
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None
