"""Lines of a text that another service's client has written: what they say is not about the database.

"Connection refused" of a web shop, "no space left on device" of Redis and "too many connections" of MySQL are the same
words as ours.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

from tabsync.symptoms.table import table
from tabsync.symptoms.text import WORD, Pasted


def without_others(pasted: Pasted) -> Pasted:
    """The same without these lines; what is left stands where it stood."""
    words, left_out = pasted.words, []
    for start, end in pairwise((*pasted.lines, len(words))):
        line = words[start:end]
        if any(mark in line for mark in _marks()[0]) and not any(mark in line for mark in _marks()[1]):
            left_out.append(line)
            words = words[:start] + " " * len(line) + words[end:]
    if not left_out:
        return pasted
    gone = " ".join(left_out)

    def kept(found: frozenset[str]) -> frozenset[str]:
        return frozenset(one for one in found if one.lower() not in gone or one.lower() in words)

    return replace(
        pasted, words=words, known=frozenset(WORD.findall(words)), codes=kept(pasted.codes), states=kept(pasted.states)
    )


@cache
def _marks() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a line of theirs has, and what it has not."""
    signs = [sign for sign in table() if sign.others]
    has = tuple(pattern.parts[0] for sign in signs for pattern in sign.patterns)
    return has, tuple(word for sign in signs for word in sign.unless)
