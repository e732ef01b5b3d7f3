"""tabsync config show: what is set, and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabsync.kernel.page import Page

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal
    from tabsync.kernel.request import Nothing


def show_command(terminal: Terminal, _request: Nothing) -> None:
    """Show every setting; secrets are hidden."""
    from tabsync.system.config import config_path
    from tabsync.workspace.settings import read_settings

    path = config_path(terminal.config)
    settings = read_settings(path)
    named = {f"stores.{name}": one for name, one in settings.stores.items()}
    named |= {f"notify.{name}": one for name, one in settings.channels.items()}
    named |= {f"app.{name}": one for name, one in settings.apps.items()}
    named |= {one.setting.name: one for one in settings.profile.values()}
    found = [(name, one) for name, one in {**settings.values, **named}.items()]
    listed = [{"name": name, "value": one.shown, "from": one.origin, "help": one.setting.help} for name, one in found]
    page = Page("config", {"file": str(path) if path else None, "settings": listed})
    page.line(f"Settings of {path}" if path else "There is no tabsync.toml here. To write one: tabsync init URL")
    page.table(("Setting", "Value", "From"), ((name, one.shown, one.origin) for name, one in found), whole=("Setting",))
    terminal.page(page)
