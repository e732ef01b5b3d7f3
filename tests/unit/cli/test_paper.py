"""What is printed of somebody else's database is printed as it is."""

from __future__ import annotations

import io

import pytest
from rich.table import Table
from rich.text import Text

from tabsync.cli.paper import Paper


@pytest.mark.parametrize("name", ["[/x]", "[bold]m[/bold]", "id:100:", "[link=http://x]y"])
def test_brackets_and_colons_in_a_name_mean_nothing(name: str) -> None:
    shown = io.StringIO()
    paper = Paper(file=shown, width=80)
    paper.print(f"public.{name}: 1 missing", style="bold")
    paper.print(Text(name))
    assert shown.getvalue() == f"public.{name}: 1 missing\n{name}\n"


def test_the_cells_of_our_tables_keep_their_colours() -> None:
    table = Table(box=None, show_header=False)
    table.add_row("[green]proven[/]", Text("[/x]"))
    shown = io.StringIO()
    paper = Paper(file=shown, width=80)
    paper.print(table)
    assert shown.getvalue().split() == ["proven", "[/x]"]
