"""Passwords of the application's users: verified by the hash that the application made, and hashed as it would.

bcrypt reads 72 bytes: the application's library cut what was longer, so that is done here when one is verified, and a
new one of more is refused. https://github.com/dcodeIO/bcrypt.js#security-considerations
"""

from __future__ import annotations

from tabsync.kernel.errors import BadUsage, Refused

COST = 10
READ = 72  # bytes, by bcrypt
SHORTEST = 12


def verifies(hashed: str, password: str) -> bool:
    """Whether a password belongs to a hash. Raises Refused for a hash of a kind that is not known here."""
    given = password.encode()
    if b"\0" in given:  # what stands behind it counts for some libraries, and not for others
        return False
    if hashed.startswith(("$2a$", "$2b$", "$2y$")):
        import bcrypt

        try:
            return bcrypt.checkpw(given[:READ], hashed.encode())
        except ValueError:
            return False
    if hashed.startswith("$argon2"):
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return PasswordHasher().verify(hashed, given)
        except (VerificationError, InvalidHashError):
            return False
    raise Refused("the password of this user is kept in a way that is not known here", "use --break-glass NAME")


def hash_of(password: str) -> str:
    """The bcrypt hash of a new password, as the application's library makes it. Raises BadUsage."""
    import bcrypt

    given = password.encode()
    if b"\0" in given:
        raise BadUsage("the password contains a NUL character", "choose one that can be typed everywhere")
    if len(given) > READ:
        raise BadUsage(
            f"the password has {len(given)} bytes; bcrypt reads the first {READ} only", "choose a shorter one"
        )
    if len(password) < SHORTEST:
        raise BadUsage(
            f"the password has {len(password)} characters; at least {SHORTEST} are needed", "choose a longer one"
        )
    return bcrypt.hashpw(given, bcrypt.gensalt(COST, b"2b")).decode()
