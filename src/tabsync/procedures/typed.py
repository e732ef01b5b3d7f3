"""Commands as one types them: what their words mean, on the command line and in a step of the manual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plain import is_text
from tabsync.kernel.procedure import Procedure
from tabsync.kernel.request import Argument, Field


class _Text(click.types.StringParamType):
    """Text that can be stored, sent and shown: a command line may hold any bytes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text. Fails for bytes that are no UTF-8."""
        found = super().convert(value, param, ctx)
        if not is_text(found):
            self.fail("it is not text in UTF-8", param, ctx)
        return found


TEXT = _Text()
"""What click takes a text for."""

COMMON: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "config": (
        ("--config",),
        {
            "type": click.Path(path_type=Path),
            "help": "The tabsync.toml to use (default: the one in this directory, else the demo's).",
        },
    ),
    "database": (
        ("--database", "-d"),
        {"type": TEXT, "help": "Connection string: URL, 'service=NAME' or keywords; PG* variables complete it."},
    ),
    "store": (
        ("--store",),
        {
            "type": TEXT,
            "help": "Where backups are: a name in [stores], a directory, az://, s3:// or gs:// with a prefix.",
        },
    ),
    "dry-run": (("--dry-run",), {"is_flag": True, "help": "Show the plan and change nothing."}),
    "yes": (("--yes",), {"is_flag": True, "help": "Confirm a destructive plan without asking; this is recorded."}),
    "unrecorded": (
        ("--unrecorded",),
        {
            "type": TEXT,
            "metavar": "WHY",
            "help": "Do it though nothing can be recorded; what should have been is printed.",
        },
    ),
    "json": (("--json",), {"is_flag": True, "help": "Print JSON for programs, with a version number."}),
}
"""The options that several commands take, by name: see Procedure.takes."""


class WithHelp(click.Argument):
    """An argument with a help of its own."""

    def __init__(self, name: str, asked: Argument, **options: Any) -> None:
        super().__init__([name], **options)
        self.asked = asked

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Its name, as the help lists it."""
        return repr(self.human_readable_name if self.metavar else self.name)

    def described(self) -> str:
        """Its help, with its default."""
        shown = f"  [default: {self.default}]" if isinstance(self.default, str) and self.default else ""
        return f"{self.asked.help}{'  [required]' if self.required else shown}"


def parameter(one: Field) -> click.Parameter:
    """A field of a request as click knows it."""
    kind = _type_of(one)
    if isinstance(one.asked, Argument):
        many = -1 if one.many else 1
        default = {} if one.required or one.many else {"default": one.default}
        metavar = one.asked.metavar or None
        return WithHelp(one.name, one.asked, type=kind, nargs=many, required=one.required, metavar=metavar, **default)
    flag = one.kind == "flag"
    # A default of None is a default to click: the option would not be missing any more.
    default = {} if one.required or one.many else {"default": one.default}
    return click.Option(
        [*one.flags, one.name],
        type=None if flag else kind,
        is_flag=flag,
        multiple=one.many,
        required=one.required,
        show_default=not flag and one.default not in (None, "", ()),
        help=one.asked.help,
        metavar=one.asked.metavar or None,
        **default,
    )


def _type_of(one: Field) -> Any:
    if one.kind == "choice":
        return click.Choice(one.choices)
    if one.kind == "path":
        return click.Path(path_type=Path)
    low, high = one.asked.minimum, one.asked.maximum
    if one.kind in ("integer", "number") and (low is not None or high is not None):
        return (click.IntRange if one.kind == "integer" else click.FloatRange)(low, high)  # type: ignore[arg-type]
    return {"text": TEXT, "integer": int, "number": float}.get(one.kind, TEXT)


def taken_by(procedure: Procedure) -> list[str]:
    """The common options that a procedure takes; what may destroy something takes --unrecorded too."""
    given = {"config", *(["unrecorded"] if procedure.has("yes") else [])}
    return [name for name in COMMON if name in given or procedure.has(name)]


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that was understood. common: what it says beside its request: "database", "store"."""

    procedure: Procedure
    request: Any
    common: dict[str, Any]


def understood(words: Sequence[str]) -> Typed:
    """What some words ask for, without "tabsync". Raises BadUsage as the command line would."""
    from tabsync.procedures import named_in

    found = named_in(words)
    if found is None:
        raise BadUsage(f"this version has no command `tabsync {' '.join(words)}`", "to list them: tabsync procedures")
    procedure, rest = found
    taken = taken_by(procedure)
    options = [click.Option(COMMON[name][0], **COMMON[name][1]) for name in taken]
    command = click.Command(
        procedure.words, params=[*map(parameter, procedure.fields), *options], add_help_option=False
    )
    try:
        values = command.make_context(f"tabsync {procedure.words}", list(rest)).params
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        hint = f"tabsync {procedure.words} --help"
        raise BadUsage(f"{procedure.words}: {message[:1].lower()}{message[1:]}", hint) from None
    request = procedure.request_type(**{one.name: values[one.name] for one in procedure.fields})
    common = {name: values[name] for name in taken if values.get(name)}
    return Typed(procedure, request, common)
