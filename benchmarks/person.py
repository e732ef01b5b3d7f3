"""What a person would do instead: upload a directory, eight files at a time. python -m benchmarks.person DIRECTORY URL

`rclone copy` is what one would take; the rclone of Debian 12 can't be told where an emulator of Azure listens.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore

from tabsync.stores.address import parse_address
from tabsync.stores.clients import LONG, client_of


def main() -> None:
    """Upload every file of a directory under its name."""
    address = parse_address(sys.argv[2])
    if isinstance(address, Path):
        raise SystemExit("usage: python -m benchmarks.person DIRECTORY az://CONTAINER/PREFIX")
    client = client_of(address, LONG)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda path: obstore.put(client, path.name, path), sorted(Path(sys.argv[1]).iterdir())))


main()
