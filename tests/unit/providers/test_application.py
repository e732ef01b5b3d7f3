"""What integrations say is without secrets; and what Azure's roles allow."""

from __future__ import annotations

from typing import Any

import pytest

from tabsync.providers.application import printable, without_secrets
from tabsync.providers.azure_permissions import is_allowed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("can't reach postgres://u:pw1@h/d?x=1", "can't reach postgres://u:***@h/d?x=1"),
        ("amqps://u:p:w@h", "amqps://u:***@h"),
        ("host=h password=pw1 user=u", "host=h password=*** user=u"),
        ("password='p w 1', user", "password=***, user"),
        ('{"token": "pw1", "n": 1}', '{"token": ***, "n": 1}'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("GET /?sig=abc%2F&x=1", "GET /?sig=***&x=1"),
        ("the password is wrong", "the password is wrong"),
        ("https://example.org:8080/me", "https://example.org:8080/me"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_what_is_known_is_hidden_wherever_it_stands() -> None:
    assert without_secrets("x-abcdef-abcdefgh", ("abcdef", "abcdefgh", "")) == "x-***-***"


def test_nothing_moves_the_cursor() -> None:
    assert printable("\x1b[31mred\x1b[0m\x07\r\t ok ") == "red  \t ok"


_READER: dict[str, Any] = {"actions": ["*/read"], "notActions": []}


@pytest.mark.parametrize(
    ("name", "entries", "allowed"),
    [
        ("Microsoft.App/containerApps/read", [_READER], True),
        ("Microsoft.App/containerApps/write", [_READER], False),
        ("Microsoft.App/containerApps/write", [_READER, {"actions": ["*"], "notActions": []}], True),
        ("Microsoft.App/containerApps/write", [{"actions": ["*"], "notActions": ["microsoft.app/*/write"]}], False),
        ("Microsoft.App/containerApps/write", [{"actions": ["microsoft.APP/containerapps/*"]}], True),
        ("Microsoft.App/containerApps/write", [{"actions": ["Microsoft.App/containerApps"]}], False),
        ("Microsoft.App/containerApps/write", [{"dataActions": ["*"]}], False),
        ("Microsoft.App/containerApps/write", [], False),
    ],
)
def test_what_a_role_allows(name: str, entries: list[dict[str, Any]], allowed: bool) -> None:
    """A role takes nothing away from another one."""
    assert is_allowed(name, "actions", entries) is allowed
