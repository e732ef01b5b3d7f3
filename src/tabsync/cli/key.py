"""tabsync key: make the keys that backups are encrypted and signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabsync.cli.common import JsonOption

app = typer.Typer(
    help="Make the keys that backups are encrypted and signed with.",
    epilog="Example: tabsync key identity ~/backup-identity",
    no_args_is_help=True,
)

FileArgument = Annotated[Path, typer.Argument(help="The file to make; it never replaces one.")]


@app.command(epilog="Example: tabsync key identity ~/backup-identity")
def identity(file: FileArgument, json: JsonOption = False) -> None:
    """Make an identity that reads backups. Keep it away from the host that takes them, and keep it twice."""
    from tabsync.stores.keys import new_identity

    _show("recipients", new_identity(file), file, "TABSYNC_IDENTITY", json=json)


@app.command(epilog="Example: tabsync key signing ~/backup-signing.pem")
def signing(file: FileArgument, json: JsonOption = False) -> None:
    """Make a key that signs what backups hold. It belongs on the host that takes them."""
    from tabsync.stores.keys import new_signing_key

    _show("trusted_keys", new_signing_key(file), file, "TABSYNC_SIGNING_KEY", json=json)


def _show(setting: str, public: str, file: Path, variable: str, *, json: bool) -> None:
    from tabsync.cli.common import console, print_json

    if json:
        print_json({"version": 1, "kind": "key", "setting": setting, "public": public, "file": str(file)})
        return
    out = console()
    out.print("In tabsync.toml, on every host:", markup=False)
    out.print(f'  {setting} = ["{public}"]', markup=False, soft_wrap=True)
    if setting == "recipients":
        out.print("Only on a host that may read backups (who loses the file loses the backups):", markup=False)
    else:
        out.print(f'On the host that takes backups: signing_key = "{file}", or:', markup=False, soft_wrap=True)
    out.print(f"  export {variable}={file}", markup=False, soft_wrap=True)
