"""A deployment rehearsed on a copy: measured there, and the real database untouched."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.postgres.deployments.site import Site
from tests.whole import WHOLE


def tables(shop: Site) -> set[str]:
    with psycopg.connect(shop.conninfo) as session:
        return {
            row[0]
            for row in session.execute("select relname from pg_class where relnamespace = 'public'::regnamespace")
        }


def rehearses(shop: Site, *options: str, command: list[str] | None = None, **more: str) -> tuple[int, str, str]:
    return shop.tabsync(
        "migration", "rehearse", "--folder", str(shop.folder), *options, "--", *(command or shop.command()), **more
    )


def test_what_it_locks_and_writes_anew_is_measured_on_the_copy(shop: Site) -> None:
    with psycopg.connect(shop.conninfo, autocommit=True) as session:
        session.execute("create table cups (id int primary key, size int)")
        session.execute("insert into cups select n, n from generate_series(1, 1000) n")
    assert shop.tabsync("backup", "take", "full")[0] == 0
    before = tables(shop)
    shop.migration("2_cups", "begin; alter table cups alter size type bigint; select pg_sleep(1.5); commit")
    code, out, err = rehearses(shop, "--json")
    assert code == 0, out + err
    facts = json.loads(out)["rehearsal"]
    assert (facts["exit"], facts["failed"], facts["applied"], facts["watched"]) == (0, [], ["1", "2"], True)
    strongest = facts["locks"][0]
    assert (strongest["table"], strongest["stops"]) == ("public.cups", "reading and writing")
    assert strongest["seconds"] > 0
    assert [one["table"] for one in facts["rewritten"]] == ["public.cups"]
    assert tables(shop) == before
    shop.migration("3_odd", "select 1 / 0")
    code, out, err = rehearses(shop)
    assert code == 1, out + err
    assert "THE REHEARSAL FAILED" in out
    assert "the rehearsal failed with exit code 1: 3 has failed" in err
    assert tables(shop) == before


def test_a_command_that_goes_to_the_real_database_is_ended(shop: Site) -> None:
    assert shop.tabsync("backup", "take", "full")[0] == 0
    shop.migration("1_plates", "select pg_sleep(30); create table plates (id int)")
    real = shop.url.replace("postgresql://", "other://")  # as a file of the application's own would say it
    command = ["sh", "-c", f'SITE_URL="postgresql:{real.partition(":")[2]}" exec "$@"', "sh", *shop.command()]
    code, out, err = rehearses(shop, command=command)
    assert code == 4, out + err
    assert "the command connected to the real database (session " in err
    assert "plates" not in tables(shop)


def test_without_a_backup(shop: Site) -> None:
    code, _, err = rehearses(shop)
    assert code == 2
    assert "hint: tabsync backup take full" in err


@pytest.mark.parametrize("form", ["two hosts", "a hash", "keywords"] if WHOLE else ["two hosts"])
def test_a_url_that_is_not_understood_leads_to_the_copy_too(shop: Site, form: str) -> None:
    assert shop.tabsync("backup", "take", "full")[0] == 0
    place = shop.url.rpartition("@")[2]
    user, _, password = shop.url.partition("://")[2].rpartition("@")[0].partition(":")
    server, _, name = place.partition("/")
    value = {
        "two hosts": f"postgresql://{user}:{password}@{server},{server}/{name}",
        "a hash": f"postgresql://{user}:a#b@{server}/{name}",
        "keywords": f"host=127.0.0.1 port={server.partition(':')[2]} user={user} password={password} dbname={name}",
    }[form]
    code, out, err = rehearses(shop, DATABASE_URL=value)
    assert code == 0, out + err
    assert "plates" not in tables(shop)
    assert "REHEARSED" in out


def test_a_variable_that_names_another_way_there_is_refused(shop: Site) -> None:
    assert shop.tabsync("backup", "take", "full")[0] == 0
    for name, value in (("DB_HOST", "127.0.0.1"), ("SITE", shop.url.replace("postgresql", "other"))):
        code, out, err = rehearses(shop, command=None, **{name: value})
        assert code == 4, out + err
        assert f"the variable {name} " in err


def test_a_quick_command_that_went_to_the_real_database_is_told(shop: Site) -> None:
    assert shop.tabsync("backup", "take", "full")[0] == 0
    real = shop.url.partition("://")[2]
    code, out, err = rehearses(
        shop, command=["sh", "-c", f'DATABASE_URL="postgresql://{real}" exec "$@"', "sh", *shop.command()]
    )
    assert code == 4, out + err
    assert "real database" in err
    code, out, err = rehearses(shop, command=["true"])
    assert code == 1, out + err
    assert "never connected to the copy" in err
