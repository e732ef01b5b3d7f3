"""What ends a demo in order is no failure: make must not say so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[3] / "scripts" / "until-stopped.sh"
_WORK = """
import pathlib, signal, sys, time
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
try:
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.2)
    pathlib.Path("tidied").touch()
    sys.exit(5)
"""


def alone() -> dict[str, str]:
    """The environment without what a make above us (`make test`) hands down: it would make this one another's child."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def makefile(directory: Path, code: str) -> None:
    (directory / "work.py").write_text(code)
    (directory / "Makefile").write_text(f"demo:\n\t@sh {_SCRIPT} {sys.executable} work.py\n")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches what is started here, also where the tests themselves were started to ignore it: `make test &`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", ["ctrl-c", "sigterm to make"])
def test_an_end_in_order_is_no_error_to_make(how: str, tmp_path: Path) -> None:
    makefile(tmp_path, _WORK)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(["make", "demo"], cwd=tmp_path, env=alone(), **options) as make:  # type: ignore[call-overload]
        assert make.stdout.readline() == "up\n"
        if how == "ctrl-c":
            os.killpg(make.pid, signal.SIGINT)
        else:
            make.send_signal(signal.SIGTERM)
        told = make.communicate(timeout=20)[0]
    assert "***" not in told, told
    assert (tmp_path / "tidied").exists()


def test_a_failure_stays_one(tmp_path: Path) -> None:
    makefile(tmp_path, "raise SystemExit(4)")
    done = subprocess.run(["make", "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=20, env=alone())
    assert done.returncode == 2
    assert "Error 4" in done.stderr
