"""tabsync serve."""

from __future__ import annotations

from typing import Annotated

import typer

from tabsync.cli.common import ConfigOption, DatabaseOption, StoreOption


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8420,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Host name of a TLS proxy in front of the console.")
    ] = None,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            metavar="ADDRESS",
            help="Address or network of that proxy; only its X-Forwarded-For header is trusted.",
        ),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    store: StoreOption = None,
) -> None:
    """Serve the console until Ctrl-C.

    To add an operator who can log in: tabsync operator add NAME --role admin

    Example: tabsync serve --port 0
    """
    from tabsync.cli.app import app as program
    from tabsync.cli.common import console, note, workspace
    from tabsync.cli.manual import built_in
    from tabsync.console.serve import serve as serve_console
    from tabsync.ledger.operators import operators

    found = workspace(config, database, store)

    def ready(url: str) -> None:
        console().print(f"The console is at {url} (Ctrl-C stops it)", markup=False, soft_wrap=True)
        if not operators(found.ledger()):
            note("there is no operator who could log in: tabsync operator add NAME --role admin")
        if name and not proxies:
            note(
                "all logins seem to come from the proxy's address; if it sets X-Forwarded-For: --trusted-proxy ADDRESS"
            )

    try:
        built = built_in(typer.main.get_command(program))
        serve_console(found, host, port, ready, name or (), built, proxies or ())
    finally:
        found.close()
