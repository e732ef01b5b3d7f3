"""What belongs to the provider in a database that it runs: rows of data, one table in platform.toml for each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Platform:
    """The schemas that a provider keeps in every database, and the roles that own them."""

    schemas: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


def platform_of(provider: str) -> Platform:
    """What is the provider's, by the name that catalog.provider() gives; nothing for one without an entry."""
    return _platforms().get(provider, Platform())


def platform_schemas(provider: str) -> frozenset[str]:
    """The schemas that are the provider's."""
    return platform_of(provider).schemas


@cache
def _platforms() -> dict[str, Platform]:
    data = tomllib.loads((files(__package__) / "platform.toml").read_text(encoding="utf-8"))
    return {name: Platform(frozenset(one["schemas"]), frozenset(one["roles"])) for name, one in data.items()}
