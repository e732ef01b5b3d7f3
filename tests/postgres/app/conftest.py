"""Applications on the loopback, and workspaces whose tabsync.toml names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabsync.providers import azure, http, kubernetes, systemd
from tabsync.workspace import Workspace, find
from tests.postgres.app.cloud import SECRET, TABLE, Cloud
from tests.postgres.app.cluster import Cluster, kubeconfig
from tests.postgres.app.serving import serving

Configured = Callable[..., Workspace]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between two looks, and nothing of the environment of whoever runs the tests."""
    monkeypatch.setattr(http, "PAUSE", 0.001)
    for module in (azure, kubernetes, systemd):
        monkeypatch.setattr(module, "_LOOK", 0.02)
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def configured(directory: Path) -> Iterator[Configured]:
    """Workspaces by what is to stand in tabsync.toml besides the database, which is not there unless it is given."""
    made: list[Workspace] = []

    def make(text: str, conninfo: str = "host=/nowhere dbname=shop") -> Workspace:
        file = directory / "tabsync.toml"
        file.write_text(f'database = "{conninfo}"\nhome = "home"\n{text}')
        made.append(find(file))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def cluster(directory: Path) -> Iterator[Cluster]:
    """A Kubernetes API server, and the kubeconfig that leads there."""
    api = Cluster()
    with serving(api.answered, api.asked) as api.url:
        kubeconfig(directory, api.url)
        yield api


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Azure, and the environment of an application that may log in there."""
    api = Cloud()
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "client")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    with serving(api.answered, api.asked) as api.url:
        yield api


def at(api: Cloud, more: str = "") -> str:
    """The table of the container app that is there."""
    return f'{TABLE}url = "{api.url}"\nlogin_url = "{api.url}"\n{more}'
