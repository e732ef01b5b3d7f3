"""Clients of object stores: who they log in as is in the environment, how long they wait is decided here.

obstore reads AZURE_*, AWS_* and GOOGLE_* itself, managed identities included; nothing of them passes through us,
but for the two names that Azure's own command line uses.
"""

from __future__ import annotations

import os
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from tabsync.stores.address import Address

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig

Client = AzureStore | S3Store | GCSStore

BLOCK = 16 << 20
"""Bytes of one request at most: what the time limit of a request is made for."""

_ENDPOINTS = {
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
_AZURE_CLI = {"AZURE_STORAGE_ACCOUNT": "account_name", "AZURE_STORAGE_KEY": "account_key"}


def client_of(address: Address) -> Client:
    """A client for a store; nothing is asked of it yet. Raises obstore's errors when the environment makes no sense.

    A request of at most BLOCK bytes has 60 seconds; it is tried three times more, but nothing is tried again that
    failed two minutes after its start, so that a store that is gone is given up on.
    """
    options = _options(address.scheme)
    retry: RetryConfig = {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=120),
        "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    prefix = address.prefix or None
    if address.scheme == "s3":
        return S3Store(address.container, prefix=prefix, client_options=options, retry_config=retry)
    if address.scheme == "gs":
        return GCSStore(address.container, prefix=prefix, client_options=options, retry_config=retry)
    config: AzureConfig = {}
    for name, key in _AZURE_CLI.items():
        if name in os.environ and f"{name}_NAME" not in os.environ:
            config[key] = os.environ[name]  # type: ignore[literal-required]
    return AzureStore(address.container, prefix=prefix, config=config, client_options=options, retry_config=retry)


def _options(scheme: str) -> ClientConfig:
    options: ClientConfig = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
    endpoint = next((os.environ[name] for name in _ENDPOINTS[scheme] if os.environ.get(name)), "")
    if endpoint.startswith("http://") and _is_loopback(urlsplit(endpoint).hostname or ""):
        options["allow_http"] = True  # an emulator on this machine; to another one nothing goes unencrypted
    return options


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
