"""The hash of an entry without a server: the bytes that PostgreSQL's record_send() makes of it (`hashed` in seals.sql).

So a file can be verified years later, by whoever has it, with no database at hand.
https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

HASH = 16
"""Bytes of a hash: the first of a SHA-256."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_ENDLESS = {"infinity": 2**63 - 1, "-infinity": -(2**63)}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES |= {chr(code): f"\\u{code:04x}" for code in range(0x20) if chr(code) not in _ESCAPES}
_TABLE = str.maketrans(_ESCAPES)


class Number(str):
    """A number of JSON as it is written: 1.10 is not 1.1."""

    __slots__ = ()


def read_json(text: str) -> Any:
    """JSON with its numbers as they stand. Raises ValueError (RecursionError when it is nested beyond reason)."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_constant)


def hash_of(entry: dict[str, Any]) -> str:
    """The hash of an entry as `audit export` writes it, in hex.

    entry: from read_json(). Raises KeyError, ValueError, TypeError, ArithmeticError when it is no such entry.
    """
    columns = [(oid, None if value is None else send(value)) for oid, send, value in _columns(entry)]
    parts = [len(columns).to_bytes(4)]
    for oid, content in columns:
        parts.append(oid.to_bytes(4))
        parts.append(b"\xff\xff\xff\xff" if content is None else len(content).to_bytes(4) + content)
    return hashlib.sha256(b"".join(parts)).digest()[:HASH].hex()


def jsonb(value: Any) -> str:
    """The text that PostgreSQL gives of a jsonb value: keys by length, then by bytes."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Number():
            return str(value)
        case str():
            return f'"{value.translate(_TABLE)}"'
        case list():
            return f"[{', '.join(map(jsonb, value))}]"
        case dict():
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return f"{{{', '.join(f'{jsonb(key)}: {jsonb(value[key])}' for key in keys)}}}"
    raise TypeError(f"{type(value).__name__} is no JSON")


def _columns(entry: dict[str, Any]) -> list[tuple[int, Callable[[Any], bytes], Any]]:
    """The columns in the order of the hash: type, how it is sent, value. NULL has no key: JSON has a null."""
    number, text, moment, json_, inet = (20, _int8), (25, str.encode), (1184, _moment), (3802, _jsonb), (869, _inet)
    absent = object()
    old, new = (entry.get(name, absent) for name in ("old", "new"))
    return [
        (*number, entry["id"]),
        (5069, lambda value: int(value).to_bytes(8), entry["transaction"]),
        (*moment, entry["at"]),
        (*text, entry["user"]),
        (*text, entry["action"]),
        (*text, entry["entity"]),
        (*text, entry["key"]),
        (*json_, None if old is absent else (old,)),
        (*json_, None if new is absent else (new,)),
        *((*text, entry[name]) for name in ("origin", "table", "db_user", "db_role", "app")),
        (*inet, entry["client"]),
        *((*text, entry[name]) for name in ("actor", "actor_how", "reason")),
    ]


def _int8(value: str) -> bytes:
    return int(value).to_bytes(8, signed=True)


def _jsonb(value: tuple[Any]) -> bytes:
    return b"\x01" + jsonb(value[0]).encode()


def _moment(text: str) -> bytes:
    """Microseconds since 2000."""
    if text in _ENDLESS:
        return _ENDLESS[text].to_bytes(8, signed=True)
    return ((datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, signed=True)


def _inet(text: str) -> bytes:
    """Family, bits of the network, whether it is a cidr, length, address."""
    found = ipaddress.ip_interface(text)
    address = found.ip.packed
    return bytes((2 if found.version == 4 else 3, found.network.prefixlen, 0, len(address))) + address


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
