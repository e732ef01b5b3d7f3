"""Clients of object stores: who they log in as is in the environment, how long they wait is decided here.

obstore reads AZURE_*, AWS_* and GOOGLE_* itself, managed identities included; nothing of them passes through us,
but for the two names that Azure's own command line uses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from tabsync.stores.address import Address, Scheme

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig

Client = AzureStore | S3Store | GCSStore

BLOCK = 16 << 20
"""Bytes of one request at most: what the time limit of a request is made for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait. request: seconds for one; again: seconds after the first in which it is tried once more."""

    request: float
    again: float
    tries: int = 3


BRIEF = Patience(request=15, again=20)
"""For small requests: a store that is gone is given up on within 35 seconds."""

LONG = Patience(request=300, again=120)
"""For requests of up to BLOCK bytes: sixteen parts that go up at once still get done on a line of 5 Mbit/s."""


def client_of(address: Address, patience: Patience) -> Client:
    """A client for a store; nothing is asked of it yet. Raises obstore's errors when the environment makes no sense."""
    options = _options(address.kind, patience)
    retry: RetryConfig = {
        "max_retries": patience.tries,
        "retry_timeout": timedelta(seconds=patience.again),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    prefix = address.prefix or None
    if address.scheme == "s3":
        return S3Store(address.container, prefix=prefix, client_options=options, retry_config=retry)
    if address.scheme == "gs":
        return GCSStore(address.container, prefix=prefix, client_options=options, retry_config=retry)
    return AzureStore(
        address.container, prefix=prefix, config=_azure_cli_names(), client_options=options, retry_config=retry
    )


def _azure_cli_names() -> AzureConfig:
    """What Azure's own command line calls account and key, where obstore's names for them aren't set."""
    config: AzureConfig = {}
    if "AZURE_STORAGE_ACCOUNT_NAME" not in os.environ and "AZURE_STORAGE_ACCOUNT" in os.environ:
        config["account_name"] = os.environ["AZURE_STORAGE_ACCOUNT"]
    if "AZURE_STORAGE_ACCOUNT_KEY" not in os.environ and "AZURE_STORAGE_KEY" in os.environ:
        config["account_key"] = os.environ["AZURE_STORAGE_KEY"]
    return config


def _options(kind: Scheme, patience: Patience) -> ClientConfig:
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=min(5, patience.request)),
        "timeout": timedelta(seconds=patience.request),
    }
    endpoint = next((os.environ[name] for name in kind.endpoints if os.environ.get(name)), "")
    allowed = os.environ.get(kind.allow_http, "").lower() == "true"
    if endpoint.startswith("http://") and (allowed or _is_loopback(urlsplit(endpoint).hostname or "")):
        options["allow_http"] = True  # to another machine nothing goes unencrypted unless somebody said so
    return options


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
