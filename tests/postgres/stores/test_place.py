"""Where the store is: an option over the environment over the file; and what a person sees of a remote one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tabsync import workspace
from tests import emulators
from tests.postgres.cli.program import tabsync


def test_the_nearer_one_wins(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = directory / "tabsync.toml"
    monkeypatch.chdir(directory)
    monkeypatch.delenv("TABSYNC_STORE", raising=False)
    config.write_text('store = "az://company/shop"\n')
    assert workspace.find(config).store().url == "az://company/shop"
    monkeypatch.setenv("TABSYNC_STORE", "s3://bucket/shop")
    assert workspace.find(config).store().url == "s3://bucket/shop"
    assert workspace.find(config, store="here").store().url == f"file://{directory}/here"
    assert workspace.find(config, store="gs://bucket").store().url == "gs://bucket"
    monkeypatch.delenv("TABSYNC_STORE")
    config.write_text("")
    assert workspace.find(config).store().url == f"file://{directory}/.tabsync/store"
    other = directory / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    config.write_text('store = "backups"\n')
    assert workspace.find(config).store().url == f"file://{directory}/backups"


@pytest.mark.parametrize("kind", ["az"])
def test_the_commands_say_what_is_wrong_and_show_no_secret(
    emulator: emulators.Emulator, address: str, directory: Path
) -> None:
    settings: dict[str, Any] = {**emulator.environment, "TABSYNC_STORE": address}
    empty = tabsync(directory, "backup", "list", **settings)
    assert (empty.code, address in empty.out) == (0, True)
    secret = "c2VjcmV0LW9mLXRoZS10ZXN0cw=="
    wrong = tabsync(directory, "backup", "list", **settings | {"AZURE_STORAGE_ACCOUNT_KEY": secret})
    assert wrong.code == 3
    assert "error: " in wrong.err
    assert "hint: " in wrong.err
    assert secret not in wrong.err + wrong.out
    unknown = tabsync(directory, "backup", "show", "latest", "--store", "ftp://host/x", "--json", **settings)
    assert (unknown.code, unknown.json["error"]["exit_code"]) == (2, 2)
