"""What a command prints: no secret, and nothing that a terminal would obey but colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.deployments.secrets import HIDDEN, Mask, harmless, secrets_of, without_colour

CANARY = "s3cr3t-c4n4ry"


@pytest.mark.parametrize(
    "line",
    [
        f"postgresql://me:{CANARY}@db/shop",
        f"Error: P1000 for jdbc:postgresql://db/shop?user=me&password={CANARY}&x=1",
        f"PGPASSWORD={CANARY} psql",
        f"flyway -password={CANARY} migrate",
        f"--password {CANARY}",
        f"host=db password='{CANARY}' user=me",
        f'{{"password": "{CANARY}"}}',
        f"https://me:{CANARY}@example.com/",
        f"STRIPE_SECRET={CANARY}",
    ],
)
def test_a_secret_is_hidden_by_its_place(line: str) -> None:
    masked = Mask()(line)
    assert CANARY not in masked
    assert HIDDEN in masked


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": f"postgresql://me:{CANARY}@db/shop"},
        {"PGPASSWORD": CANARY},
        {"MY_API_KEY": CANARY},
        {"FLYWAY_URL": f"jdbc:postgresql://db/shop?user=me&password={CANARY}"},
        {"CONNINFO": f"host=db password={CANARY}"},
    ],
)
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(environment: dict[str, str]) -> None:
    assert Mask(secrets_of(environment))(f"the word {CANARY} is odd") == f"the word {HIDDEN} is odd"


def test_an_encoded_password_is_hidden_in_both_forms() -> None:
    mask = Mask(secrets_of({"DATABASE_URL": "postgresql://me:p%40ss%2Fword@db/shop"}))
    assert mask("p%40ss%2Fword and p@ss/word") == f"{HIDDEN} and {HIDDEN}"


def test_what_is_no_secret_stays() -> None:
    for line in ("applied 20260301_add_password_reset", "time: 10:30, a@b", "password reset added", "pass 3 of 4"):
        assert Mask(secrets_of({"PATH": "/usr/bin", "TOKEN": "ab"}))(line) == line


def test_colours_stay_and_nothing_else() -> None:
    assert harmless("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert without_colour("\x1b[31mred\x1b[0m") == "red"
    for evil in (
        "\x1b]52;c;aGk=\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1b[2J",
        "\x1b[1;1H",
        "\x07",
        "\u202e",
        "\x9b31m",
        "\x1bc",
    ):
        assert harmless(f"a{evil}b").replace("31m", "") == "ab"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = without_colour(text)
    assert not any((one < " " and one not in "\t\n") or "\x7f" <= one <= "\x9f" for one in shown)
