"""tabsync key: make the keys that backups are encrypted and signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabsync.cli.common import JsonOption

app = typer.Typer(
    help="Create the keys that encrypt and sign backups.",
    epilog="Example: tabsync key identity ~/backup-identity",
    no_args_is_help=True,
)

FileArgument = Annotated[Path, typer.Argument(help="The file to create; an existing file is never replaced.")]


@app.command(epilog="Example: tabsync key identity ~/backup-identity")
def identity(file: FileArgument, json: JsonOption = False) -> None:
    """Create an identity, which decrypts backups. Store it in two places, not on the host that takes backups."""
    from tabsync.stores.keys import new_identity

    _show("recipients", new_identity(file), file, "TABSYNC_IDENTITY", json=json)


@app.command(epilog="Example: tabsync key signing ~/backup-signing.pem")
def signing(file: FileArgument, json: JsonOption = False) -> None:
    """Create a key that signs the manifests of backups. Store it on the host that takes backups."""
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
        out.print(
            "Only on a host that may read backups (without this file the backups can't be restored):", markup=False
        )
    else:
        out.print(f'On the host that takes backups: signing_key = "{file}", or:', markup=False, soft_wrap=True)
    out.print(f"  export {variable}={file}", markup=False, soft_wrap=True)
