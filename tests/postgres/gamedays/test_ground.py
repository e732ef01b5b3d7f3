"""The ground of a game day: it comes up wherever the home is, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

from tabsync.demo.mark import prove
from tabsync.gamedays.ground import ground
from tests.sessions import connect


def test_it_comes_up_where_the_servers_account_can_not_enter(directory: Path) -> None:
    """As below /root: its server is in another place then, which is deleted as well."""
    private = directory / "private"
    private.mkdir(mode=0o700)
    with ground(private / "gamedays", str, lambda _: None) as there:
        servers = there.own().directory.parent
        assert servers.is_dir()
        there.enter().close()
        with connect(there.superuser(), "tests") as connection:
            assert prove(connection)["database"] == connection.info.dbname
    assert not servers.exists()
    assert list((private / "gamedays").iterdir()) == []
