"""Procedures that a manual brings itself: what changes data, and what undoes it, each a block of SQL."""

from __future__ import annotations

from markdown_it.tree import SyntaxTreeNode

from tabsync.manual.model import OwnProcedure, StepKind
from tabsync.manual.sections import Problem, Section, line_of, text_of

_UNDO = "undo:"


def own_procedure(section: Section, problems: list[Problem]) -> OwnProcedure | None:
    """A heading with a `sql write` block, and after `Undo:` another one; None without a block.

    What has no way back is no procedure of this kind: it stands in a runbook, as a step.
    """
    blocks: dict[bool, SyntaxTreeNode] = {}
    prose: list[str] = []
    after_undo = False
    for node in section.nodes:
        if node.type == "fence" and " ".join(node.info.lower().split()) == StepKind.SQL_WRITE:
            if after_undo in blocks:
                problems.append(Problem(line_of(node), "a further block", "one that does it, and one after 'Undo:'"))
            blocks.setdefault(after_undo, node)
        elif node.type == "paragraph" and text_of(node).lower().startswith(_UNDO):
            after_undo = True
        elif node.type == "paragraph":
            prose.append(text_of(node))
    if not blocks:
        return None
    if len(blocks) == 1:
        what = f"the procedure {section.title!r} has no {'block' if True in blocks else 'undo'}"
        problems.append(Problem(section.line, what, "a 'sql write' block, the line 'Undo:', and another one"))
        return None
    return OwnProcedure(
        title=section.title,
        prose="\n\n".join(prose),
        sql=blocks[False].content.strip(),
        sql_line=line_of(blocks[False]),
        undo=blocks[True].content.strip(),
        undo_line=line_of(blocks[True]),
        line=section.line,
    )
