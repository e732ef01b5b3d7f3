"""The command tree, held to the recorded one: what people and cron have typed goes on working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tabsync.cli.tree import program

RECORDED = json.loads((Path(__file__).parents[2] / "golden" / "commands.json").read_text())
"""A change here is a change for everybody's scripts: it stands in CHANGELOG.md, with the reason."""


def walked(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walked(inner, (*words, name))


TREE = dict(walked(program()))


def described(one: click.Parameter) -> dict[str, Any]:
    option = one.param_type_name == "option"
    told: dict[str, Any] = {"options": sorted(one.opts)} if option else {"argument": True}
    flag = isinstance(one, click.Option) and one.is_flag
    default = one.to_info_dict()["default"]
    told |= {"required": True} if one.required else {}
    told |= {"many": True} if one.nargs != 1 or getattr(one, "multiple", False) else {}
    told |= {"flag": True} if flag else {"default": str(default)} if default not in (None, "", (), []) else {}
    kind = one.type
    told |= {"choices": list(kind.choices)} if isinstance(kind, click.Choice) else {}
    bounds = {"min": getattr(kind, "min", None), "max": getattr(kind, "max", None)}
    return told | {name: value for name, value in bounds.items() if value is not None}


def test_no_command_is_lost_and_none_came_unsaid() -> None:
    assert sorted(TREE) == sorted(RECORDED)


@pytest.mark.parametrize("words", sorted(RECORDED))
def test_each_takes_what_it_took(words: str) -> None:
    assert {one.name: described(one) for one in TREE[words].params} == RECORDED[words]


@pytest.mark.parametrize("words", sorted(RECORDED))
def test_arguments_stand_in_their_order(words: str) -> None:
    arguments = [one.name for one in TREE[words].params if one.param_type_name == "argument"]
    assert arguments == [name for name in arguments if RECORDED[words][name].get("argument")]


REQUIRED = [
    (words, one) for words, command in TREE.items() for one in command.params if one.required and one.opts[0][:1] == "-"
]


@pytest.mark.parametrize(("words", "option"), REQUIRED, ids=[words for words, _ in REQUIRED])
def test_an_option_that_must_be_given_is_missed(words: str, option: click.Option) -> None:
    command = TREE[words]
    arguments = ["given" for one in command.params if one.required and one.param_type_name == "argument"]
    others = [one for one in command.params if one.required and one.opts[0][:1] == "-" and one is not option]
    arguments += [word for one in others for word in (one.opts[0], "given")]
    with pytest.raises(click.MissingParameter) as missed:
        command.make_context(words, arguments)
    assert missed.value.param is option
