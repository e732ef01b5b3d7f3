"""Hints that a person copies into a shell: names of roles are no text of ours."""

from __future__ import annotations

import shlex

import pytest

from tabsync.sessions.limits import typed


@pytest.mark.parametrize("role", ["app", "a b;touch /tmp/pwn", "$(id)", "it's", 'a "b"', "\\", "*"])
def test_a_role_is_one_word_of_its_command(role: str) -> None:
    assert shlex.split(typed(role, "--undo")) == ["tabsync", "connections", "limit", role, "--undo"]
    assert shlex.split(typed(role, "5")) == ["tabsync", "connections", "limit", role, "5"]


def test_a_role_that_looks_like_an_option_and_one_that_cant_be_typed() -> None:
    assert shlex.split(typed("--undo", "5")) == ["tabsync", "connections", "limit", "--", "--undo", "5"]
    assert typed("--undo", "--undo") == "tabsync connections limit --undo -- --undo"
    assert typed("a\n; rm -rf", "--undo") == "tabsync connections limit ROLE --undo"
