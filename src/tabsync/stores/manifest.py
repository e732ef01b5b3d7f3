"""What a backup is: a manifest that names its files by digest.

A backup exists if and only if its manifest does; it is written last. The manifest carries the digest of its own
content, so a flipped bit in it is found like one in any object.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from tabsync.kernel.clock import parse_iso
from tabsync.kernel.errors import ProblemFound
from tabsync.kernel.step import Facts
from tabsync.postgres.catalog import Relation

VERSION = 1

_FILE_NAME = re.compile(r"[\w.-]+", re.ASCII)
_DIGEST = re.compile("[0-9a-f]{64}")
_LISTS = ("tables", "foreign_keys", "extensions", "roles", "tablespaces", "excluded", "excluded_schemas")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a backup. name: in the dump's directory; digest: SHA-256 of its content, hex; bytes: its size.

    schema, table: whose rows it holds, "" for the table of contents and large objects; sealed, sealed_bytes: SHA-256
    and size of the encrypted file, when it was stored encrypted.
    """

    name: str
    digest: str
    bytes: int
    schema: str = ""
    table: str = ""
    sealed: str = ""
    sealed_bytes: int = 0

    @property
    def object(self) -> str:
        """The digest that its object has in the store."""
        return self.sealed or self.digest

    @property
    def object_bytes(self) -> int:
        """The size of its object in the store, bytes."""
        return self.sealed_bytes if self.sealed else self.bytes

    def to_json(self) -> Facts:
        """The file as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup. Times are ISO 8601 in UTC; LSN as PostgreSQL prints it.

    digest, content_digest: of the whole stored manifest, and of what a signature vouches for; "" before it is stored;
    kind: "full", "schema", "data", "tables", or "physical", "incremental"; reason: why it was taken; excluded: what it
    leaves out, in words; excluded_schemas: schemas of a provider that it leaves out; physical: of a physical backup,
    where its WAL begins and ends and what it stands on;
    encryption: {"recipients": for whom its files are encrypted}; signature: {"key", "value"}, see stores.keys;
    snapshot: {"time", "lsn"} that every table was read at; source: the server's identity; database: encoding and
    locale; program: what dumped it, and how; tables: [{"schema", "name", "kind", "estimated_rows", "bytes"}];
    foreign_keys: as catalog.ForeignKey.to_json; not_in_this_backup: what a dump doesn't carry, [{"kind", "name",
    "statement", "note"}], None: it was not noted; audit: the newest seal of its audit log, {"n", "head", "epoch",
    "sealed_at"}, {} where nothing is sealed.
    """

    id: str
    kind: str
    reason: str
    started_at: str
    finished_at: str
    snapshot: Facts
    source: Facts
    database: Facts
    program: Facts
    files: tuple[StoredFile, ...]
    tables: tuple[Facts, ...] = ()
    foreign_keys: tuple[Facts, ...] = ()
    extensions: tuple[Facts, ...] = ()
    roles: tuple[str, ...] = ()
    tablespaces: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    excluded_schemas: tuple[str, ...] = ()
    not_in_this_backup: tuple[Facts, ...] | None = None
    physical: Facts = field(default_factory=dict)
    audit: Facts = field(default_factory=dict)
    encryption: Facts = field(default_factory=dict)
    signature: Facts = field(default_factory=dict, compare=False)
    version: int = VERSION
    digest: str = field(default="", compare=False)
    content_digest: str = field(default="", compare=False)

    @property
    def stored_bytes(self) -> int:
        """The size of its files as stored."""
        return sum(file.object_bytes for file in self.files)

    @property
    def taken_at(self) -> datetime:
        """The moment of its snapshot: what was committed before is in it, what came later is not."""
        return parse_iso(self.snapshot["time"])

    @property
    def subject(self) -> str:
        """Whose backup it is, "system identifier/database": backups of one database share it."""
        return subject_of(self.source)

    def to_bytes(self, sign: Callable[[str], Facts] | None = None) -> bytes:
        """The manifest as it is stored. sign: gives the signature of a digest; without it the signature stays."""
        content = asdict(self)
        del content["digest"], content["content_digest"]
        if sign is not None:
            content["signature"] = sign(signed_digest(content))
        content["digest"] = _content_digest(content)
        return json.dumps(content, indent=1, sort_keys=True).encode()


def subject_of(identity: Facts) -> str:
    """Which database an identity speaks of: "system identifier/database"."""
    return f"{identity.get('system_identifier') or 'unknown'}/{identity['database']}"


def manifest_from_json(data: Facts) -> Manifest:
    """Build a manifest from JSON values. Raises KeyError or TypeError when something is missing or not known.

    The lists may be missing: what came into manifests after a backup was taken is not in its own.
    """
    files = tuple(StoredFile(**file) for file in data["files"])
    lists = {key: tuple(data.get(key, ())) for key in _LISTS}
    noted = data.get("not_in_this_backup")
    later = {"not_in_this_backup": None if noted is None else tuple(noted)}
    return Manifest(**(data | {"files": files} | lists | later))


def read_manifest(name: str, content: bytes, distrusts: Callable[[str, Facts], str] | None = None) -> Manifest:
    """Parse a stored manifest and check it against its own digest.

    distrusts: says why a digest and a signature don't go together, "" when they do.
    Raises ProblemFound when it was damaged, is not to be trusted, or was written by a newer version.
    """
    damaged = ProblemFound(f"the manifest of backup {name} is corrupt", "restore the manifest from a copy of the store")
    try:
        data = json.loads(content)
        if data.get("version") != VERSION:
            raise ProblemFound(
                f"the manifest of backup {name} has version {data.get('version')}; this program reads {VERSION}",
                "upgrade tabsync",
            )
        digest = data.pop("digest")
        manifest = replace(manifest_from_json(data), digest=digest, content_digest=signed_digest(data))
        _check_places(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged from None
    # Of what was stored, and not of what we make of it: a later version has more to say.
    if digest != _content_digest(data) or manifest.id != name:
        raise damaged
    if distrusts and (why := distrusts(manifest.content_digest, manifest.signature)):
        raise ProblemFound(
            f"the manifest of backup {name} {why}",
            "don't restore it; if you know that it was taken here, sign it: tabsync backup sign ID",
        )
    return manifest


def _check_places(manifest: Manifest) -> None:
    """See that a manifest names files in its own directory, objects and a time. Raises ValueError or TypeError.

    Its digest only shows damage: who may write into a store without signatures could have us write anywhere else.
    """
    for file in manifest.files:
        if not _FILE_NAME.fullmatch(file.name) or set(file.name) == {"."}:
            raise ValueError(f"{file.name!r} is no file's name")
        if not all(_DIGEST.fullmatch(one) for one in (file.digest, file.object)):
            raise ValueError(f"{file.object!r} is no digest")
        if min(file.bytes, file.object_bytes) < 0:
            raise ValueError(f"{file.name} has a negative size")
    if manifest.taken_at.tzinfo is None:
        raise ValueError("the time of its snapshot has no time zone")


def signed_digest(content: Facts) -> str:
    """The digest of what a signature vouches for: the whole stored content but the signature and the digest."""
    return _content_digest({key: value for key, value in content.items() if key not in ("signature", "digest")})


def _content_digest(content: Facts) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def whose(file: StoredFile) -> str:
    """A file of a backup in words: of which table it is, and its object."""
    if file.table:
        return f"table {Relation(file.schema, file.table)}: object {file.object[:12]}"
    return f"{file.name}: object {file.object[:12]}"
