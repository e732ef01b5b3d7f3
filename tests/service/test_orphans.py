"""What `serve` keeps ends by itself when `serve` is killed, also before it could ask who its parent is."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tabsync.system.processes import wait_ended
from tests.conftest import Databases
from tests.postgres.cli.program import TABSYNC, environment
from tests.service.place import Home


@pytest.mark.parametrize("later", [0.0, 0.3, 3.0])
def test_what_serve_keeps_ends_with_it(databases: Databases, directory: Path, later: float) -> None:
    home = Home(directory, databases())
    home.write("")
    serve = subprocess.Popen(
        [TABSYNC, "serve", "--port", "0"],
        cwd=directory,
        env=environment(directory, TZ="UTC"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    children: list[psutil.Process] = []
    try:
        until = time.monotonic() + 30
        while len(children) < 3:
            assert time.monotonic() < until
            time.sleep(0.005)
            children = psutil.Process(serve.pid).children()
        time.sleep(later)
    finally:
        serve.kill()
        serve.wait()
    left = wait_ended(children, 40)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    assert not left
