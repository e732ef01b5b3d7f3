"""What the Makefile offers works from a fresh clone: nothing is needed that another target leaves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parents[3]
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
NEEDS_PACKAGES = [name for name in TARGETS if name not in ("help", "clean")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git knows of this directory, and nothing that was installed or made in it."""
    if shutil.which("make") is None or shutil.which("git") is None or not (ROOT / ".git").exists():
        missing("make, git or a clone")
    place = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    return place


def make(clone: Path, *words: str) -> str:
    done = subprocess.run(["make", *words], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_uses_only_what_is_in_the_clone_or_what_it_makes_before(clone: Path, target: str) -> None:
    commands = make(clone, "--dry-run", target)
    for script in re.findall(r"[\w/.-]+\.(?:py|sh|md|toml|txt)\b", commands):
        assert (clone / script).exists() or script.startswith(".venv/"), script
    if target in NEEDS_PACKAGES:
        assert commands.index("-m venv .venv") < commands.index("pip install") < commands.rindex(".venv/bin/")


@pytest.mark.parametrize("target", [name for name in TARGETS if name not in ("help", "clean")])
def test_whoever_imports_the_emulators_installs_them(clone: Path, target: str) -> None:
    """`make bench` stored into Azurite, which only `make test` had fetched."""
    commands = make(clone, "--dry-run", target)
    for package, options in re.findall(r"python -m (benchmarks|soak|pytest)\b(.*)", commands):
        folder = re.search(r"\btests/\S+", options)
        sources = (clone / (folder[0] if folder else "tests" if package == "pytest" else package)).rglob("*.py")
        if any("emulators" in source.read_text() for source in sources):
            assert commands.index("scripts/emulators.py") < commands.index(f"python -m {package}")


def test_each_target_is_in_the_list_or_says_what_it_is_for(clone: Path) -> None:
    listed = {line.split()[0] for line in make(clone, "help").splitlines() if line.strip()}
    rules = (clone / "Makefile").read_text()
    for target in TARGETS:
        assert target in listed or re.search(rf"^{target}:.* # ", rules, re.MULTILINE), target
    phony = re.search(r"^\.PHONY: (.*)$", rules, re.MULTILINE)
    assert phony is not None and set(TARGETS) == set(phony[1].split())


def test_what_lint_and_bench_run_works_in_a_clone(clone: Path) -> None:
    """The commands themselves, with the packages that are installed here: no tabsync.toml and no data is there."""
    (clone / ".venv").symlink_to(ROOT / ".venv")
    commands = make(clone, "--dry-run", "lint", "--assume-old=setup").splitlines()
    check = next(line for line in commands if "manual check" in line).lstrip("@")
    for command in (check, ".venv/bin/python -m benchmarks --help"):
        done = subprocess.run(command.split(), cwd=clone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "--only" in done.stdout
    assert not (clone / ".tabsync").exists()
