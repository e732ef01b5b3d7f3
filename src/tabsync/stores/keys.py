"""The keys of a store: backups that this host can write and not read, and manifests that nobody else can forge.

Files are encrypted with age (https://age-encryption.org/v1) for the recipients in tabsync.toml, before they leave this
host; only who has an identity of one of them reads them. Manifests stay readable, so that listing and pruning need no
identity: names of tables and sizes are no secret from the store. They are signed with Ed25519 (RFC 8032).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tabsync.kernel.errors import BadUsage, NotAllowed, Refused
from tabsync.kernel.step import Facts

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from pyrage import ssh, x25519

    Recipient: TypeAlias = x25519.Recipient | ssh.Recipient
    Identity: TypeAlias = x25519.Identity | ssh.Identity

_DOMAIN = b"tabsync manifest 1\n"
"""Put before what is signed, so that a signature made for something else never fits a manifest."""

_HOW = "to create keys: tabsync key --help"


@dataclass(frozen=True)
class Keys:
    """What tabsync.toml says of keys; files are read when they are needed.

    recipients: for whom backups are encrypted, age or SSH public keys; identity: the file that reads them;
    signing: the file that signs manifests; trusted: public keys by one of which every manifest must be signed.
    """

    recipients: tuple[str, ...] = ()
    identity: Path | None = None
    signing: Path | None = None
    trusted: tuple[str, ...] = ()

    @property
    def encrypting(self) -> bool:
        """Whether new backups are encrypted."""
        return bool(self.recipients)

    def check(self) -> None:
        """Read everything that taking a backup needs. Raises BadUsage or NotAllowed when a key is no key."""
        _ = self._recipients, self._trusted, self.sign("")

    def seal(self, source: Path, target: Path) -> None:
        """Encrypt a file for the recipients, in constant memory."""
        import pyrage

        with source.open("rb") as plain, target.open("wb") as sealed:
            pyrage.encrypt_io(plain, sealed, list(self._recipients))

    def unseal(self, source: Path, target: Path) -> str:
        """Decrypt a file; says what is wrong with it ("can't be decrypted"), "" when all is well.

        Raises NotAllowed when there is no identity, or none that it was encrypted for.
        """
        import pyrage

        identities = self._identities
        try:
            with source.open("rb") as sealed, target.open("wb") as plain:
                pyrage.decrypt_io(sealed, plain, identities)
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise NotAllowed(
                    f"the identity in {self.identity} can't decrypt this backup: it is encrypted for other recipients",
                    "set the matching identity: TABSYNC_IDENTITY=FILE",
                ) from None
            return "can't be decrypted"
        except OSError as error:
            if error.errno is not None:
                raise
            return "can't be decrypted"
        return ""

    def require_identity(self, recipients: Sequence[str]) -> None:
        """See that we could read what is encrypted for these recipients, before anything begins.

        Raises NotAllowed when there is no identity, or it is visibly for others.
        """
        if not recipients:
            return
        own = {str(one.to_public()) for one in self._identities if hasattr(one, "to_public")}
        if own and not own & set(recipients) and all(one.startswith("age1") for one in recipients):
            raise NotAllowed(
                f"the identity in {self.identity} does not belong to any recipient of this backup",
                "set the matching identity: TABSYNC_IDENTITY=FILE",
            )

    def sign(self, digest: str) -> Facts:
        """The signature of a manifest's content, {} when we don't sign. digest: SHA-256 of the content, hex."""
        if self.signing is None:
            return {}
        key = _private_key(self.signing)
        public = spelled(key.public_key())
        value = base64.b64encode(key.sign(_DOMAIN + digest.encode())).decode()
        return {"key": public, "value": value}

    def distrusts(self, digest: str, signature: Facts) -> str:
        """Why a manifest is not to be trusted ("is not signed"); "" when it is, or nobody asked for signatures."""
        from cryptography.exceptions import InvalidSignature

        if not self.trusted:
            return ""
        if not signature:
            return "is not signed"
        for name, key in self._trusted.items():
            if name == signature.get("key"):
                try:
                    key.verify(base64.b64decode(str(signature.get("value"))), _DOMAIN + digest.encode())
                except (InvalidSignature, binascii.Error, ValueError):
                    return "has a signature that is not valid"
                return ""
        return "is signed by a key that tabsync.toml does not trust"

    def trusting(self, key: str) -> Keys:
        """The same keys; where none is trusted yet, this one is. key: public, as in tabsync.toml."""
        return self if self.trusted else replace(self, trusted=(key,))

    @cached_property
    def fingerprint(self) -> str:
        """Names the set of recipients: files are shared between backups only when the same can read them."""
        return hashlib.sha256("\n".join(sorted(self.recipients)).encode()).hexdigest()

    @cached_property
    def _recipients(self) -> tuple[Recipient, ...]:
        from pyrage import RecipientError, ssh, x25519

        found: list[Recipient] = []
        for text in self.recipients:
            try:
                found.append((ssh if text.startswith("ssh-") else x25519).Recipient.from_str(text))
            except RecipientError:
                raise BadUsage(
                    f"recipients: {text[:12]!r}... is not a public key",
                    "age1... or ssh-ed25519 ...: tabsync key identity FILE",
                ) from None
        return tuple(found)

    @cached_property
    def _identities(self) -> list[Identity]:
        if self.identity is None:
            raise NotAllowed(
                "this backup is encrypted, and this host has no identity to read it",
                "set TABSYNC_IDENTITY=FILE, on a host that may read backups",
            )
        from pyrage import IdentityError, ssh, x25519

        text = _secret(self.identity, "identity")
        try:
            if "PRIVATE KEY-----" in text:
                return [ssh.Identity.from_buffer(text.encode())]
            lines = [line.strip() for line in text.splitlines()]
            found: list[Identity] = [x25519.Identity.from_str(line) for line in lines if line and line[0] != "#"]
        except IdentityError:
            found = []
        if not found:
            raise NotAllowed(f"{self.identity} does not contain an age identity", _HOW)
        return found

    @cached_property
    def _trusted(self) -> dict[str, Ed25519PublicKey]:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        found = {}
        for text in self.trusted:
            try:
                raw = base64.b64decode(text.removeprefix("ed25519:"), validate=True)
                found[text] = Ed25519PublicKey.from_public_bytes(raw)
            except (ValueError, binascii.Error):
                raise BadUsage(
                    f"trusted_keys: {text[:16]!r} is not a public key", "ed25519:...: tabsync key signing FILE"
                ) from None
        return found


def spelled(key: Ed25519PublicKey) -> str:
    """A public key as it stands in tabsync.toml: "ed25519:" and base64."""
    return "ed25519:" + base64.b64encode(key.public_bytes_raw()).decode()


def public_of(signing: Path) -> str:
    """The public half of a signing key, as it stands in tabsync.toml. Raises NotAllowed when the file holds none."""
    return spelled(_private_key(signing).public_key())


def new_identity(path: Path) -> str:
    """Make a new identity of age in a file that only we can read; gives its recipient. Refused when it exists."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    recipient = str(identity.to_public())
    _write_secret(path, f"# reads backups that are encrypted for {recipient}\n{identity}\n")
    return recipient


def new_signing_key(path: Path) -> str:
    """Make a new Ed25519 key in a file that only we can read; gives its public key. Raises Refused when it exists."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    _write_secret(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    return spelled(key.public_key())


def _write_secret(path: Path, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(f"can't create {path}: {error.strerror}", "name a new file: a key is never replaced") from None
    with os.fdopen(fd, "w") as file:
        file.write(text)


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_secret(path, "signing key").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise NotAllowed(f"{path} does not contain an Ed25519 private key", _HOW)
    return key


def _secret(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotAllowed(
            f"can't read the {what} in {path}: {error.strerror}", "check the path and its permissions"
        ) from None
    except UnicodeDecodeError:
        raise NotAllowed(f"{path} contains no {what}", _HOW) from None
