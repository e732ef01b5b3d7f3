"""Procedures: numbered lists whose items are steps, and the tabsync commands in them."""

from __future__ import annotations

import re
import shlex

from markdown_it.tree import SyntaxTreeNode

from tabsync.manual.model import Step, StepKind
from tabsync.manual.parts import Command
from tabsync.manual.sections import Problem, line_of, text_of

BLOCK_KINDS = {
    "tabsync": StepKind.COMMAND,
    "sql": StepKind.SQL,
    "sql write": StepKind.SQL_WRITE,
}
_SHELL = re.compile(r"[|;&]+|\d?>{1,2}.*|<{1,3}|\$\(.*|`.*")
_PLACEHOLDER = re.compile(r"<[^<>\s]+>")


def parse_command(text: str, line: int) -> Command:
    """Read one line of a tabsync block. Raises ValueError when it can't be split into words, or needs a shell."""
    words = shlex.split(text, comments=True)
    if words[:1] == ["tabsync"]:
        words = words[1:]
    for word in words:
        if _SHELL.fullmatch(word) and not _PLACEHOLDER.fullmatch(word):
            raise ValueError(f"{word!r} needs a shell, and the program does not use one")
    if not words:
        raise ValueError("there is no command")
    text = " ".join(word if _PLACEHOLDER.fullmatch(word) else shlex.quote(word) for word in words)
    return Command(text=text, words=tuple(words), line=line)


def steps_of(ordered_list: SyntaxTreeNode, problems: list[Problem]) -> tuple[Step, ...]:
    """The steps of a numbered list; what is wrong with them goes to `problems`."""
    first = int(ordered_list.attrs.get("start", 1))
    return tuple(_step(number, item, problems) for number, item in enumerate(ordered_list.children, start=first))


def _step(number: int, item: SyntaxTreeNode, problems: list[Problem]) -> Step:
    fences = [child for child in item.children if child.type == "fence"]
    for extra in fences[1:]:
        problems.append(Problem(line_of(extra), "a second block in one step", "one block a step: make it two steps"))
    told = "\n".join(line for child in item.children for line in _lines(child))
    if not fences:
        return _human(number, told, line_of(item))
    fence = fences[0]
    kind = _kind(fence, problems)
    commands = _commands(fence, problems) if kind is StepKind.COMMAND else ()
    return Step(
        number=number,
        text=told,
        kind=kind,
        block=fence.content.rstrip("\n"),
        commands=commands,
        line=line_of(item),
        block_line=line_of(fence),
    )


def _human(number: int, text: str, line: int) -> Step:
    return Step(number=number, text=text, kind=StepKind.HUMAN, block="", commands=(), line=line, block_line=0)


def _lines(node: SyntaxTreeNode) -> list[str]:
    """A paragraph, or a nested list: details of a step, not steps of their own."""
    if node.type == "paragraph":
        return [text_of(node)]
    if node.type in ("bullet_list", "ordered_list"):
        return [f"- {line}" for item in node.children for child in item.children for line in _lines(child)]
    return []


def _kind(fence: SyntaxTreeNode, problems: list[Problem]) -> StepKind:
    info = " ".join(fence.info.lower().split())
    if info in BLOCK_KINDS:
        return BLOCK_KINDS[info]
    if info.split(" ")[0] in ("tabsync", "sql"):
        expected = ", ".join(f"'{kind}'" for kind in BLOCK_KINDS)
        problems.append(Problem(line_of(fence), f"a block is marked {fence.info.strip()!r}", f"one of {expected}"))
    return StepKind.SHELL


def _commands(fence: SyntaxTreeNode, problems: list[Problem]) -> tuple[Command, ...]:
    commands = []
    for line, text in enumerate(fence.content.split("\n"), start=line_of(fence) + 1):
        if not text.strip() or text.strip().startswith("#"):
            continue
        try:
            commands.append(parse_command(text, line))
        except ValueError as error:
            what = f"the command {text.strip()!r} can't be read: {error}"
            problems.append(Problem(line, what, "one tabsync command a line, as one would type it"))
    if not fence.content.strip():
        problems.append(Problem(line_of(fence), "an empty tabsync block", "a tabsync command"))
    return tuple(commands)
