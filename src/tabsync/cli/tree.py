"""The command tree, made from the declarations; only the command that is run, or whose help is shown, is built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tabsync.kernel.procedure import Group, Procedure, Surface
from tabsync.kernel.request import Argument, Field, Option
from tabsync.procedures import GROUPS, PROCEDURES, find

_CONFIG = "The tabsync.toml to use (default: the one in this directory, else the demo's)."
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_HELP = "Run your database operations manual: backups, restores and drills, each previewed and recorded."
_EXAMPLE = "tabsync init postgresql://me@db.example.com/shop, then: tabsync drill"

_COMMON: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "config": (
        ("--config",),
        {
            "type": click.Path(path_type=Path),
            "help": "The tabsync.toml to use (default: the one in this directory, else the demo's).",
        },
    ),
    "database": (
        ("--database", "-d"),
        {"help": "Connection string: URL, 'service=NAME' or keywords; PG* variables complete it."},
    ),
    "store": (
        ("--store",),
        {"help": "Where backups are: a name in [stores], a directory, az://, s3:// or gs:// with a prefix."},
    ),
    "dry-run": (("--dry-run",), {"is_flag": True, "help": "Show the plan and change nothing."}),
    "yes": (("--yes",), {"is_flag": True, "help": "Confirm a destructive plan without asking; this is recorded."}),
    "json": (("--json",), {"is_flag": True, "help": "Print JSON for programs, with a version number."}),
}


class _Helpful:
    """Help that lists arguments like options."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        arguments, options = [], []
        for one in self.params:  # type: ignore[attr-defined]
            if isinstance(one, _Argument):
                arguments.append((one.make_metavar(context), one.described()))
            elif record := one.get_help_record(context):
                options.append(record)
        if help_option := self.get_help_option(context):  # type: ignore[attr-defined]
            options.append(help_option.get_help_record(context))
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(context, formatter)

    def format_epilog(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        if self.epilog:  # type: ignore[attr-defined]
            formatter.write_paragraph()
            formatter.write(f"{self.epilog}\n")  # type: ignore[attr-defined] # an example is copied: it is not broken


class Command(_Helpful, click.Command):
    """A command of one procedure."""


class Tree(_Helpful, click.Group):
    """A group of commands. words: those before; its commands are built when they are asked for."""

    def __init__(self, words: Sequence[str], **options: Any) -> None:
        super().__init__(name=words[-1] if words else "tabsync", context_settings=SETTINGS, **options)
        self.words = tuple(words)

    def list_commands(self, _context: click.Context) -> list[str]:
        """The next words, in the order in which they are declared."""
        count = len(self.words)
        following = (words for words in _all_words() if words[:count] == [*self.words])
        return list(dict.fromkeys(words[count] for words in following if len(words) > count))

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of the next word, built."""
        return build((*self.words, name))

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the next words with what they are for, without building their commands."""
        names = self.list_commands(context)
        if names:
            with formatter.section("Commands"):
                formatter.write_dl([(name, summary_of((*self.words, name))) for name in names])


class _Argument(click.Argument):
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


def program() -> click.Group:
    """The whole command tree."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Show the version and exit.",
        callback=_version,
    )
    return Tree((), help=_HELP, epilog=f"Example: {_EXAMPLE}", params=[version], no_args_is_help=True)


def build(words: Sequence[str]) -> click.Command | None:
    """The command, or the group, of some words; None when there is none."""
    procedure = find(" ".join(words))
    group = next((one for one in GROUPS if one.words.split() == [*words]), None)
    if group is not None:
        return _group(group, procedure)
    return _command(procedure) if procedure else None


def summary_of(words: Sequence[str]) -> str:
    """What a command or group is for, in one line."""
    spelled = " ".join(words)
    group = next((one.summary for one in GROUPS if one.words == spelled), "")
    procedure = find(spelled)
    return group or (procedure.summary if procedure else "")


def _all_words() -> list[list[str]]:
    typed = [one.words for one in PROCEDURES if Surface.CLI in one.surfaces]
    return [words.split() for words in (*[one.words for one in GROUPS], *typed)]


def _group(group: Group, procedure: Procedure | None) -> click.Group:
    if procedure is None:
        epilog = f"Example: {group.example}" if group.example else None
        return Tree(group.words.split(), help=group.summary, epilog=epilog, no_args_is_help=True)
    return Tree(group.words.split(), invoke_without_command=True, **_body(procedure))


def _command(procedure: Procedure) -> click.Command:
    return Command(procedure.words.split()[-1], context_settings=SETTINGS, **_body(procedure))


def _body(procedure: Procedure) -> dict[str, Any]:
    params = [_parameter(one) for one in procedure.fields]
    taken = [name for name in _COMMON if name == "config" or procedure.has(name)]
    params += [click.Option(_COMMON[name][0], **_COMMON[name][1]) for name in taken if not procedure.has(f"no-{name}")]
    text = f"{procedure.summary}\n\n{procedure.details}" if procedure.details else procedure.summary
    return {
        "help": text,
        "epilog": f"Example: {procedure.example}",
        "params": params,
        "callback": lambda **values: _perform(procedure, values),
    }


def _perform(procedure: Procedure, values: dict[str, Any]) -> None:
    from tabsync.cli.perform import perform

    context = click.get_current_context()
    if isinstance(context.command, click.Group) and context.invoked_subcommand:
        _refuse_options_before(context, values)
        return
    context.exit(perform(procedure, values))


def _refuse_options_before(context: click.Context, values: dict[str, Any]) -> None:
    from tabsync.kernel.errors import BadUsage

    if any(values.values()):
        name = f"{context.info_name} {context.invoked_subcommand}"
        raise BadUsage(f"write the options after the name of the {context.info_name}", f"tabsync {name} --help")


def _parameter(one: Field) -> click.Parameter:
    kind = _type_of(one)
    if isinstance(one.asked, Argument):
        many = -1 if one.many else 1
        default = {} if one.required or one.many else {"default": one.default}
        metavar = one.asked.metavar or None
        return _Argument(one.name, one.asked, type=kind, nargs=many, required=one.required, metavar=metavar, **default)
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
    low, high = (one.asked.minimum, one.asked.maximum) if isinstance(one.asked, Option) else (None, None)
    if one.kind in ("integer", "number") and (low is not None or high is not None):
        return (click.IntRange if one.kind == "integer" else click.FloatRange)(low, high)  # type: ignore[arg-type]
    return {"text": str, "integer": int, "number": float}.get(one.kind, str)


def _version(context: click.Context, _option: click.Parameter, shown: bool) -> None:
    if shown:
        from tabsync import __version__

        click.echo(f"tabsync {__version__}")
        context.exit()
