"""The tables [app.NAME]: what is taken, what is refused, and what config show may show of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabsync.app.configured import application
from tabsync.kernel.errors import BadUsage
from tabsync.providers.command import Command
from tabsync.providers.systemd import Systemd
from tabsync.workspace import find
from tabsync.workspace.settings import read_settings


def test_each_kind_is_its_integration(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text(
        'database = "host=/nowhere"\n'
        '[app.one]\nkind = "command"\nrestart = ["sv", "restart", "one"]\nenvironment = ["A"]\ntimeout = 7\n'
        '[app.two]\nkind = "systemd"\nunit = "two@1.service"\nenv_file = "two.env"\n'
        '[app.three]\nkind = "kubernetes"\ndeployment = "three"\nkubeconfig = "~/k"\n'
        '[app.four]\nkind = "azure"\napp = "four"\nresource_group = "rg"\n'
    )
    workspace = find(file)
    assert application(workspace, "one") == Command("one", ("sv", "restart", "one"), passes=("A",), timeout=7)
    assert application(workspace, "two") == Systemd("two", "two@1.service", env_file=tmp_path / "two.env")
    assert application(workspace, "three").place == "deployment three"
    assert application(workspace, "four").place == "container app four in resource group rg"
    with pytest.raises(BadUsage, match="no application 'five' is configured") as caught:
        application(workspace, "five")
    assert "tabsync.toml has: one, two, three, four" in caught.value.hint


def test_arguments_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text('[app.one]\nkind = "command"\nrestart = ["curl", "https://u:canary@h/restart"]\n')
    (one,) = read_settings(file).apps.values()
    assert (one.shown, one.origin) == ("command: curl", "tabsync.toml, line 2")
    assert "canary" not in repr(one) + repr(find(file, anything=True))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("app = 1", r"\[app\] must have a table for each application"),
        ('[app]\nkind = "command"', r"\[app\] must have|must have a table"),
        ("[app.x]\n", r"\[app.x\] has no known kind"),
        ('[app.x]\nkind = "docker"', r"\[app.x\] has no known kind"),
        ('[app."a b"]\nkind = "command"', "can't be the name"),
        ('[app.x]\nkind = "command"', r"\[app.x\] names no command"),
        ('[app.x]\nkind = "command"\nrestart = "sv restart x"', "app.x.restart must be of type list"),
        ('[app.x]\nkind = "command"\nrestart = [1]', "app.x.restart must contain strings"),
        ('[app.x]\nkind = "command"\nrestart = []', "app.x.restart must contain strings"),
        ('[app.x]\nkind = "command"\nrestart = ["a"]\ntimeout = 0', "app.x.timeout is 0"),
        ('[app.x]\nkind = "command"\nrestart = ["a"]\ntimeout = true', "must be of type int"),
        ('[app.x]\nkind = "command"\nrestart = ["a"]\nvariable = "LD=1"', "can't be the name of a variable"),
        ('[app.x]\nkind = "systemd"', r"\[app.x\] has no unit"),
        ('[app.x]\nkind = "systemd"\nunit = "--root=/x"', "app.x.unit is '--root=/x'"),
        ('[app.x]\nkind = "systemd"\nunits = "x"', "'units' is not a setting"),
        ('[app.x]\nkind = "kubernetes"\ndeployment = "../secrets"', "app.x.deployment is"),
        ('[app.x]\nkind = "azure"\napp = "x"', r"\[app.x\] has no resource_group"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, fact: str) -> None:
    file = tmp_path / "tabsync.toml"
    file.write_text(text + "\n")
    with pytest.raises(BadUsage, match=fact) as caught:
        read_settings(file)
    assert caught.value.hint
