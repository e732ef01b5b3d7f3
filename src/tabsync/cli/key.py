"""tabsync key: make the keys that backups are encrypted and signed with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.page import Page
from tabsync.kernel.request import Argument

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Identity:
    """What one may ask of key identity."""

    file: Annotated[Path, Argument("The file to create; an existing file is never replaced.")]


@dataclass(frozen=True, slots=True)
class Signing:
    """What one may ask of key signing."""

    file: Annotated[Path, Argument("The file to create; an existing file is never replaced.")]


def identity_command(terminal: Terminal, request: Identity) -> None:
    """Create an identity, and say where it belongs."""
    from tabsync.stores.keys import new_identity

    public = new_identity(request.file)
    page = _page("recipients", public, request.file)
    page.line("Only on a host that may read backups (without this file the backups can't be restored):")
    page.line(f"  export TABSYNC_IDENTITY={request.file}", whole=True)
    terminal.page(page)


def signing_command(terminal: Terminal, request: Signing) -> None:
    """Create a signing key, and say where it belongs."""
    from tabsync.stores.keys import new_signing_key

    public = new_signing_key(request.file)
    page = _page("trusted_keys", public, request.file)
    page.line(f'On the host that takes backups: signing_key = "{request.file}", or:', whole=True)
    page.line(f"  export TABSYNC_SIGNING_KEY={request.file}", whole=True)
    terminal.page(page)


def _page(setting: str, public: str, file: Path) -> Page:
    page = Page("key", {"setting": setting, "public": public, "file": str(file)})
    page.line("In tabsync.toml, on every host:")
    page.line(f'  {setting} = ["{public}"]', whole=True)
    return page
