"""`tabsync completion`: its script in a real bash, and what the program answers to those of the other shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tabsync.cli.completion import script_of
from tabsync.cli.tree import program
from tests.conftest import missing

BIN = Path(sys.executable).parent
_ASK = """
source /dev/stdin <<< "$SCRIPT"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
complete -p tabsync > /dev/null || exit 3
_tabsync_completion tabsync
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(*words: str, where: Path | None = None) -> list[str]:
    """What bash offers for the last of some words. where: the directory that one is in."""
    found = shutil.which("bash")
    if found is None:
        missing("bash")
    environment = os.environ | {"SCRIPT": script_of("bash"), "PATH": f"{BIN}:{os.environ['PATH']}"}
    command = [str(found), "--norc", "-c", _ASK, "bash", "tabsync", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=where)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def answered(shell: str, words: str, at: int) -> str:
    """What the program answers to the script of a shell. at: the number of the word that is being typed."""
    current = words.split(" ")[at]
    asked = {"_TABSYNC_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    asked["COMP_CWORD"] = current if shell == "fish" else str(at)
    done = subprocess.run([BIN / "tabsync"], env=os.environ | asked, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_bash_offers_every_command(tmp_path: Path) -> None:
    """Those of the profile too, where tabsync.toml names one, as in these tests."""
    (tmp_path / "tabsync.toml").write_text('profile = "tabsync"\n')
    tree = program()
    assert bash("", where=tmp_path) == tree.list_commands(click.Context(tree))
    assert "orders" not in bash("")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("backup", "ta"), ["take"]),
        (("--ver",), ["--version"]),
        (("run", "show", "--js"), ["--json"]),
        (("completion", "z"), ["zsh"]),
        (("backup", "take", ""), ["data", "full", "physical", "schema", "tables"]),
        (("nothing", "of", "this"), []),
        (("manual", "show", '"Payments fai'), []),
        (("backup", "show", "a'b"), []),
    ],
    ids=" ".join,
)
def test_bash_offers_what_fits(words: tuple[str, ...], offered: list[str]) -> None:
    assert sorted(bash(*words)) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered(shell: str) -> None:
    assert script_of(shell).count("tabsync") > 3
    answer = answered(shell, "tabsync backup ta", 2)
    assert "take" in answer
    assert "Take a backup" in answer
    assert "verify" not in answer


def test_an_unknown_shell_has_no_script() -> None:
    with pytest.raises(KeyError):
        script_of("tcsh")
