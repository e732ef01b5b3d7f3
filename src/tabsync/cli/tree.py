"""The command tree, made from the declarations; only the command that is run, or whose help is shown, is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tabsync.kernel.procedure import Group, Procedure, Surface
from tabsync.procedures import all_groups, all_procedures, find
from tabsync.procedures.typed import COMMON, WithHelp, parameter, taken_by

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_HELP = "Run your database operations manual: backups, restores and drills, each previewed and recorded."
_EXAMPLE = "tabsync init postgresql://me@db.example.com/shop, then: tabsync drill"


class _Helpful:
    """Help that lists arguments like options."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        arguments, options = [], []
        for one in self.params:  # type: ignore[attr-defined]
            if isinstance(one, WithHelp):
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
    group = next((one for one in all_groups() if one.words.split() == [*words]), None)
    if group is not None:
        return _group(group, procedure)
    return _command(procedure) if procedure else None


def summary_of(words: Sequence[str]) -> str:
    """What a command or group is for, in one line."""
    spelled = " ".join(words)
    group = next((one.summary for one in all_groups() if one.words == spelled), "")
    procedure = find(spelled)
    return group or (procedure.summary if procedure else "")


def _all_words() -> list[list[str]]:
    typed = [one.words for one in all_procedures() if Surface.CLI in one.surfaces]
    return [words.split() for words in (*[one.words for one in all_groups()], *typed)]


def _group(group: Group, procedure: Procedure | None) -> click.Group:
    if procedure is None:
        epilog = f"Example: {group.example}" if group.example else None
        return Tree(group.words.split(), help=group.summary, epilog=epilog, no_args_is_help=True)
    return Tree(group.words.split(), invoke_without_command=True, **_body(procedure))


def _command(procedure: Procedure) -> click.Command:
    return Command(procedure.words.split()[-1], context_settings=SETTINGS, **_body(procedure))


def _body(procedure: Procedure) -> dict[str, Any]:
    params = [parameter(one) for one in procedure.fields]
    taken = taken_by(procedure)
    params += [click.Option(COMMON[name][0], **COMMON[name][1]) for name in taken if not procedure.has(f"no-{name}")]
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


def _version(context: click.Context, _option: click.Parameter, shown: bool) -> None:
    if shown:
        from tabsync import __version__

        click.echo(f"tabsync {__version__}")
        context.exit()
