"""What a command prints, without its secrets and without what a terminal would obey. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from tabsync.providers.application import without_secrets

HIDDEN = "***"
_SHORTEST = 5  # characters of a secret that is hidden wherever it stands: a shorter one is in too many words
_IN_URL = re.compile(r"(?P<before>[a-z][\w+.-]*://[^\s:/@'\"]*:)(?P<secret>[^\s/'\"]*)(?=@)", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<before>\b(?:PG)?pass(?:word|wd)?['\"]?\s*[=:]\s*|(?<!\w)--?pass(?:word|wd)?\s+|[-\w]*(?:password|secret|token)=)"
    r"(?P<secret>'[^']*'|\"[^\"]*\"|[^\s&'\",;]+)",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(
    r"PASS(?:WORD|WD|PHRASE)?(?:_|$)|_PWD(?:_|$)|SECRET|TOKEN|KEY$|_KEY_|DSN$|CREDENTIAL", re.IGNORECASE
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_OTHERS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|[0-~])?")
_OBEYED = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """The secrets in an environment: passwords in URLs as they are written and as they are, and what is named so."""
    found = set(_found(environment))
    return frozenset(one for one in found if len(one) >= _SHORTEST)


class Mask:
    """Hides secrets in lines. secrets: hidden wherever they stand; what looks like one is hidden besides."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, text: str) -> str:
        """The text without them."""
        return without_secrets(text, self._secrets)


def harmless(line: str) -> str:
    """A line of output with its colours, and with nothing else that a terminal would obey."""
    parts, at = [], 0
    for found in _COLOUR.finditer(line):
        parts += [_without(line[at : found.start()]), found.group()]
        at = found.end()
    return "".join([*parts, _without(line[at:])])


def without_colour(line: str) -> str:
    """The same without colours: for records."""
    return _without(_COLOUR.sub("", line))


def _without(text: str) -> str:
    return _OBEYED.sub("", _OTHERS.sub("", text))


def _found(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _SECRET_NAMES.search(name):
            yield from (value, *value.splitlines())  # what is printed is looked at line by line
        for one in _IN_URL.finditer(value):
            yield from {one["secret"], unquote(one["secret"])}
        if "=" in value or "://" in value:
            for one in _NAMED.finditer(value):
                secret = one["secret"].strip("'\"")
                yield from {secret, unquote(secret)}
