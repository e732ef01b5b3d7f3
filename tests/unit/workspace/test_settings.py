"""What config show may show of a tabsync.toml, and what is refused in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabsync.kernel.errors import BadUsage
from tabsync.monitoring.notify.try_out import address_of
from tabsync.workspace import find
from tabsync.workspace.settings import read_settings


def test_no_setting_shows_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text(
        "database = 'postgresql://u:secret1@h/shop?sslpassword=secret2'\n"
        "ledger = 'postgresql+psycopg://l:secret3@h/d?password=secret4'\n"
        "store = 's3://key:secret5@bucket/x'\n"
        "[stores]\n"
        "far = 'az://account/container?sig=secret6'\n"
        "near = '/srv/backups'\n"
    )
    found = read_settings(file)
    shown = [one.shown for one in (*found.values.values(), *found.stores.values())]
    assert not [text for text in shown if "secret" in text]
    assert shown[-2:] == ["az://account/container?...", "/srv/backups"]


def test_a_store_is_named_on_the_command_line_as_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text('database = "host=/nowhere"\n[stores]\nLocal = "near"\nFar = "az://account/container"\n')
    assert find(file, store="local").store_root == tmp_path / "near"
    assert find(file, store="Far").store_url == "az://account/container"
    assert find(file, store="/srv/backups").store_root == Path("/srv/backups")


def test_what_a_store_does_not_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text('[stores.far]\nplace = "/srv/backups"\nregion = "eu"\n')
    with pytest.raises(BadUsage, match=r"'region' is not a setting of \[stores.far\]"):
        read_settings(file)
    file.write_text('[stores.far]\nplace = "/srv/backups"\n')
    assert read_settings(file).stores["far"].value == "/srv/backups"


@pytest.mark.parametrize(
    ("text", "fact", "hint"),
    [
        ('recipients = ["age1a"]\n[keys]\nrecipients = ["age1b"]\n', "are the same setting", "delete recipients"),
        ('stores = "/srv/backups"\n', r"\[stores\] must be a table", '[stores]\n  NAME = "PLACE"'),
        ('[[stores]]\nplace = "/srv/backups"\n', r"\[stores\] must be a table", '[stores]\n  NAME = "PLACE"'),
    ],
)
def test_what_can_be_meant_in_two_ways_is_refused(text: str, fact: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text(text)
    with pytest.raises(BadUsage, match=fact) as told:
        read_settings(file)
    assert told.value.hint == hint


@pytest.mark.parametrize(
    "url", ["ops.example.org", "https://", "https://[", "ftp://x", "https://a b", "https://u@h", "https://h/p"]
)
def test_links_that_nobody_could_open_are_refused(url: str, tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text(f'[console]\npublic_url = "{url}"\n')
    with pytest.raises(BadUsage, match="public_url is"):
        read_settings(file)
    for good in (
        "",
        "https://ops.example.org",
        "https://ops.example.org/",
        "http://[::1]:8420",
        "http://127.0.0.1:8420",
    ):
        file.write_text(f'[console]\npublic_url = "{good}"\n')
        assert read_settings(file)["console.public_url"] == good


def test_a_channels_file_that_can_not_be_read_keeps_no_command_from_working(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text('database = "host=/nowhere"\nnotify.mail = { file = "mail.url" }\n')
    assert find(file).channels == (("mail", ""),)
    (shown,) = read_settings(file).channels.values()
    assert shown.shown == "unknown"
    assert "mail.url, which can't be read: No such file" in shown.origin
    assert address_of(find(file), "mail") == ("", "the file of the channel 'mail' can't be read, or is empty")
    (tmp_path / "mail.url").write_text("mailto://u:secret@example.org\n")
    assert address_of(find(file), "mail") == ("mailto://u:secret@example.org", "")
    assert address_of(find(file), "hook")[1].startswith("tabsync.toml has no channel 'hook'")
