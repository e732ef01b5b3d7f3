"""The key that claims are signed with: the application has it in a file, the database as the two pads of an HMAC."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from psycopg.types.json import Jsonb

from tabsync.audit.database.setup import DATABASE
from tabsync.kernel.errors import Refused
from tabsync.postgres.connect import Connection

LEAST = 32
"""Bytes that a key must have."""

_BLOCK = 64  # of SHA-256


def read_key(path: Path) -> bytes:
    """The key in a file; where there is no file, one is created, for its owner only. Raises Refused."""
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_hex(LEAST).encode())
        key = path.read_bytes().strip()
    except OSError as error:
        raise Refused(f"the key can't be read: {path}: {error.strerror}", "name another file") from None
    if len(key) < LEAST:
        raise Refused(f"the key in {path} has {len(key)} bytes, and needs {LEAST}", f"openssl rand -hex 32 > {path}")
    return key


def write_key(connection: Connection, key: bytes) -> None:
    """Give the database a key; claims that were signed with another one are invalid from then on.

    https://www.rfc-editor.org/rfc/rfc2104#section-2
    """
    whole = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    pads = {"inner": bytes(one ^ 0x36 for one in whole), "outer": bytes(one ^ 0x5C for one in whole)}
    with connection.transaction():
        connection.execute(DATABASE["log_no_values"])
        connection.execute(DATABASE["forget_secret"])
        connection.execute(DATABASE["secret"], pads)
        connection.execute(DATABASE["write_setting"], {"name": "claims_key", "value": Jsonb(obj=True)})
