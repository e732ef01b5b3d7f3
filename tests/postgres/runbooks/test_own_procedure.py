"""Procedures that the manual brings itself: run, undone, refused twice, killed in the middle."""

from __future__ import annotations

import pytest

from tests.postgres.cli.program import Done
from tests.postgres.runbooks.place import Place
from tests.sessions import connect

_PROCEDURES = """
## Procedures

### Close the shop

```sql write
update shop set open = false where branch = <branch>
```

Undo:

```sql write
update shop set open = true where branch = <branch>
```
"""


@pytest.fixture
def shop(ground: Place) -> Place:
    with connect(ground.conninfo, "test") as connection:
        connection.execute("create table shop (branch text, open boolean)")
        connection.execute("insert into shop values ('7', true), ('8', true), ('it''s', true)")
    ground.manual("1. Look.")
    manual = ground.directory / "manual.md"
    manual.write_text(manual.read_text() + _PROCEDURES)
    return ground


def _open(shop: Place) -> dict[str, bool]:
    with connect(shop.conninfo, "test") as connection:
        return dict(connection.execute("select branch, open from shop").fetchall())


def _error(done: Done) -> str:
    return next(line for line in done.err.splitlines() if line.startswith("error: "))


def test_run_undone_and_not_twice(shop: Place) -> None:
    checked = shop.run("manual", "check", "manual.md")
    assert "Close the shop" not in checked.out + checked.err
    missing = shop.run("manual", "run", "Close the shop")
    assert (missing.code, _error(missing)) == (2, "error: 'Close the shop' leaves open: branch")
    shown = shop.run("manual", "run", "close the shop", "--set", "branch=it's", "--dry-run")
    assert shown.code == 0
    assert "open = false where branch = 'it''s'" in shown.out
    assert _open(shop)["it's"] is True
    done = shop.run("manual", "run", "Close the shop", "--set", "branch=it's", "--json")
    assert (done.code, done.json["rows"], done.json["state"]) == (0, [1], "done")
    assert _open(shop) == {"7": True, "8": True, "it's": False}
    again = shop.run("manual", "run", "Close the shop", "--set", "branch=it's")
    assert again.code == 4
    assert "is done already, since" in _error(again)
    undone = shop.run("manual", "undo", "Close the shop")
    assert undone.code == 0, undone.err
    assert _open(shop) == {"7": True, "8": True, "it's": True}
    twice = shop.run("manual", "undo", "Close the shop")
    assert (twice.code, "was not run from here" in _error(twice)) == (4, True)
    with_these = shop.run("manual", "undo", "Close the shop", "--set", "branch=it's")
    assert (with_these.code, "is undone already" in _error(with_these)) == (4, True)


def test_it_stands_with_its_values(shop: Place) -> None:
    """Two branches are closed and opened each by itself; nothing is undone with values that it was not run with."""
    for branch in ("7", "8"):
        assert shop.run("manual", "run", "Close the shop", "--set", f"branch={branch}").code == 0
    assert _open(shop) == {"7": False, "8": False, "it's": True}
    several = shop.run("manual", "undo", "Close the shop")
    assert (several.code, "stands done with several values: branch=8; branch=7" in _error(several)) == (2, True)
    other = shop.run("manual", "undo", "Close the shop", "--set", "branch=it's")
    assert other.code == 4
    assert shop.run("manual", "undo", "Close the shop", "--set", "branch=7").code == 0
    assert _open(shop) == {"7": True, "8": False, "it's": True}
    assert shop.run("manual", "undo", "Close the shop").code == 0
    assert _open(shop)["8"] is True


def test_two_at_once_do_it_once(shop: Place) -> None:
    """Both have planned before either has begun: the second one finds the first, or finds it done."""
    with connect(shop.conninfo, "test") as holder:
        holder.execute("begin; lock table shop")
        two = [shop.start("manual", "run", "Close the shop", "--set", "branch=7") for _ in range(2)]
        with connect(shop.conninfo, "test") as other:
            waits = "select count(*) from pg_locks where not granted and relation = 'shop'::regclass"
            shop.waits(lambda: other.execute(waits).fetchone() == (1,))
        shop.waits(lambda: any(one.poll() is not None for one in two))
        holder.execute("rollback")
    assert sorted(one.wait() for one in two) == [0, 4]


def test_what_the_server_has_rolled_back_is_not_done(shop: Place) -> None:
    with connect(shop.conninfo, "test") as owner:
        owner.execute("alter table shop add constraint stays_open check (open)")
    failed = shop.run("manual", "run", "Close the shop", "--set", "branch=7")
    assert failed.code == 5
    with connect(shop.conninfo, "test") as owner:
        owner.execute("alter table shop drop constraint stays_open")
    assert shop.run("manual", "run", "Close the shop", "--set", "branch=7").code == 0
    assert _open(shop)["7"] is False


def test_it_can_not_end_its_transaction(shop: Place) -> None:
    """Neither by its text, nor by what it calls."""
    manual = shop.directory / "manual.md"
    text = manual.read_text()
    manual.write_text(text.replace("update shop set open = false", "commit; update shop set open = false"))
    told = shop.run("manual", "check", "manual.md")
    assert "COMMIT may not stand in it" in told.out + told.err
    assert shop.run("manual", "run", "Close the shop", "--set", "branch=7").code == 4
    assert _open(shop)["7"] is True


def test_one_that_died_is_unknown_and_never_run_again_by_itself(shop: Place) -> None:
    with connect(shop.conninfo, "test") as holder:
        holder.execute("begin; lock table shop")
        running = shop.start("manual", "run", "Close the shop", "--set", "branch=7")
        with connect(shop.conninfo, "test") as other:
            waits = "select count(*) from pg_locks where not granted and relation = 'shop'::regclass"
            shop.waits(lambda: other.execute(waits).fetchone() == (1,))
        running.kill()
        running.wait()
        holder.execute("rollback")
    for words in (("run", "Close the shop", "--set", "branch=7"), ("undo", "Close the shop")):
        refused = shop.run("manual", *words)
        assert refused.code == 4
        assert "nobody knows whether it was carried out" in _error(refused)
    forced = shop.run("manual", "run", "Close the shop", "--set", "branch=7", "--force")
    assert forced.code == 0, forced.err
    assert _open(shop)["7"] is False


def test_one_that_is_not_there(shop: Place) -> None:
    unknown = shop.run("manual", "run", "Open the shop")
    assert (unknown.code, _error(unknown)) == (2, "error: the manual has no procedure 'Open the shop'")
