"""tabsync serve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tabsync.kernel.request import Option

if TYPE_CHECKING:
    from tabsync.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Serve:
    """What one may ask of serve."""

    host: Annotated[str, Option("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Option("Port to listen on; 0 picks a free one.", minimum=0, maximum=65535)] = 8420
    name: Annotated[tuple[str, ...], Option("Host name of a TLS proxy in front of the console.")] = ()
    proxies: Annotated[
        tuple[str, ...],
        Option(
            "Address or network of that proxy; only its X-Forwarded-For header is trusted.",
            ("--trusted-proxy",),
            metavar="ADDRESS",
        ),
    ] = ()


def serve_command(terminal: Terminal, request: Serve) -> None:
    """Serve the console until Ctrl-C."""
    from tabsync.cli.terminal import paper
    from tabsync.console.serve import serve
    from tabsync.ledger.operators import operators

    found = terminal.workspace()

    def ready(url: str) -> None:
        paper().print(f"The console is at {url} (Ctrl-C stops it)", markup=False, soft_wrap=True)
        if not operators(found.ledger()):
            terminal.note("there is no operator who could log in: tabsync operator add NAME --role admin")
        if request.name and not request.proxies:
            terminal.note(
                "all logins seem to come from the proxy's address; if it sets X-Forwarded-For: --trusted-proxy ADDRESS"
            )

    try:
        serve(found, request.host, request.port, ready, request.name, proxies=request.proxies)
    finally:
        found.close()
