"""A page of the terminal as one page of HTML that stands by itself, fit to be printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tabsync.kernel.errors import Refused
from tabsync.kernel.page import Page

if TYPE_CHECKING:
    from jinja2 import Environment


def write(path: Path, page: Page, title: str) -> None:
    """Write a page. Raises Refused when the file can't be written."""
    try:
        path.write_text(html_of(page, title), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise Refused(f"can't write {path}: {error.strerror}", "choose another place with --html") from None


def html_of(page: Page, title: str) -> str:
    """The page as HTML."""
    return _templates().get_template("page.html").render(page=page, title=title)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["part"] = lambda part: part if isinstance(part, tuple) else (part, "")
    return environment
