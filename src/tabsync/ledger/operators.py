"""Operators of the console and their sessions.

Operators are made on the command line of the machine alone. A password is kept as Argon2id, a session's token as its
SHA-256, so whoever reads the ledger can neither log in nor take a session over.
https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tabsync.kernel.clock import iso, now, parse_iso
from tabsync.kernel.errors import BadUsage
from tabsync.ledger.evidence import add_audit
from tabsync.ledger.open import Ledger
from tabsync.ledger.tables import operator, session

ROLES = ("viewer", "responder", "admin")
"""A viewer sees everything; a responder may start what can be taken back; an admin all that the console can start."""

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024  # hashing what an attacker sends must not take for ever

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SEEN_EVERY = timedelta(seconds=60)  # so that reading a page does not mean a write each time


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may use the console. role: one of ROLES; created_at: ISO 8601, UTC."""

    id: int
    name: str
    role: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is valid now. token_hash: its key in the ledger; csrf_token: what each of its forms carries."""

    token_hash: str
    csrf_token: str
    operator: Operator


def may(operator: Operator, role: str) -> bool:
    """Whether an operator may do what needs a role: the roles stand one above the other."""
    return ROLES.index(operator.role) >= ROLES.index(role)


def add_operator(ledger: Ledger, name: str, password: str, role: str, *, by: str) -> Operator:
    """Make an operator. by: who does it, for the audit.

    Raises BadUsage when the name is taken or is not a name, the role is unknown, or the password is too short.
    """
    name = _checked_name(name)
    if role not in ROLES:
        raise BadUsage(f"the console has no role {role!r}", f"the roles are {', '.join(ROLES)}")
    row = {"name": name, "role": role, "password_hash": _hash(password), "created_at": iso(now())}
    try:
        with ledger.engine.begin() as connection:
            connection.execute(insert(operator), [row])
    except IntegrityError:
        raise BadUsage(f"operator {name!r} already exists", f"tabsync operator password {name}") from None
    add_audit(ledger, by, "operator add", name, {"role": role})
    return one_operator(ledger, name)


def operators(ledger: Ledger) -> list[Operator]:
    """All operators, by name."""
    with ledger.engine.connect() as connection:
        rows = connection.execute(select(*_OPERATOR).order_by(operator.c.name))
        return [Operator(*row) for row in rows]


def one_operator(ledger: Ledger, name: str) -> Operator:
    """The operator of that name. Raises BadUsage when there is none."""
    with ledger.engine.connect() as connection:
        row = connection.execute(select(*_OPERATOR).where(operator.c.name == name.lower())).first()
    if row is None:
        raise BadUsage(f"there is no operator {name!r}", "to list them: tabsync operator list")
    return Operator(*row)


def set_password(ledger: Ledger, name: str, password: str, *, by: str) -> int:
    """Give an operator a new password and end all sessions under the old one; returns how many there were."""
    found = one_operator(ledger, name)
    with ledger.engine.begin() as connection:
        values = {"password_hash": _hash(password)}
        connection.execute(update(operator).where(operator.c.id == found.id).values(**values))
        ended = connection.execute(delete(session).where(session.c.operator_id == found.id)).rowcount
    add_audit(ledger, by, "operator password", found.name, {"sessions_ended": ended})
    return ended


def remove_operator(ledger: Ledger, name: str, *, by: str) -> None:
    """Remove an operator and end the sessions. Raises BadUsage when there is none of that name."""
    found = one_operator(ledger, name)
    with ledger.engine.begin() as connection:
        connection.execute(delete(session).where(session.c.operator_id == found.id))
        connection.execute(delete(operator).where(operator.c.id == found.id))
    add_audit(ledger, by, "operator remove", found.name, {"role": found.role})


def check_password(ledger: Ledger, name: str, password: str) -> Operator | None:
    """The operator, if name and password belong together. An unknown name takes as long as a wrong password."""
    nobodys = _nobodys_hash()  # made before anything is known, so that the first guess is not slower than the others
    with ledger.engine.connect() as connection:
        query = select(operator.c.password_hash, *_OPERATOR).where(operator.c.name == name.lower())
        row = connection.execute(query).first()
    known = row.password_hash if row is not None else nobodys
    right = _verifies(known, password)
    if row is None or not right:
        return None
    if _hasher().check_needs_rehash(known):
        with ledger.engine.begin() as connection:
            values = {"password_hash": _hasher().hash(password)}
            connection.execute(update(operator).where(operator.c.id == row.id).values(**values))
    return Operator(*row[1:])


def start_session(ledger: Ledger, who: Operator, *, at: datetime | None = None) -> tuple[str, Session]:
    """Begin a session; returns its token (256 bits, kept nowhere by us) and the session."""
    token, moment = secrets.token_urlsafe(32), iso(at or now())
    begun = Session(_digest(token), secrets.token_urlsafe(32), who)
    row = {"token_hash": begun.token_hash, "operator_id": who.id, "csrf_token": begun.csrf_token}
    with ledger.engine.begin() as connection:
        connection.execute(insert(session), [row | {"created_at": moment, "seen_at": moment}])
    return token, begun


def find_session(ledger: Ledger, token: str, *, touch: bool, at: datetime | None = None) -> Session | None:
    """The session of a token, or None when it is unknown, was ended, idled for IDLE or is older than ABSOLUTE.

    touch: this request is a person's doing and puts the idle time-out off; a page that refreshes itself is not.
    """
    moment = at or now()
    query = (
        select(session.c.token_hash, session.c.csrf_token, session.c.created_at, session.c.seen_at, *_OPERATOR)
        .join_from(session, operator)
        .where(session.c.token_hash == _digest(token))
    )
    with ledger.engine.connect() as connection:
        row = connection.execute(query).first()
    if row is None or _is_over(row[2], row[3], moment):
        return None
    if touch and moment - parse_iso(row.seen_at) > _SEEN_EVERY:
        with ledger.engine.begin() as connection:
            mine = session.c.token_hash == row.token_hash
            connection.execute(update(session).where(mine).values(seen_at=iso(moment)))
    return Session(row.token_hash, row.csrf_token, Operator(*row[4:]))


def end_session(ledger: Ledger, ended: Session) -> None:
    """Log out."""
    with ledger.engine.begin() as connection:
        connection.execute(delete(session).where(session.c.token_hash == ended.token_hash))


def sweep_sessions(ledger: Ledger, *, at: datetime | None = None) -> int:
    """Delete the sessions that are over; returns how many there were."""
    moment = at or now()
    over = (session.c.seen_at < iso(moment - IDLE)) | (session.c.created_at < iso(moment - ABSOLUTE))
    with ledger.engine.begin() as connection:
        return connection.execute(delete(session).where(over)).rowcount


def new_password() -> str:
    """A password nobody has to think of: 125 bits in five groups that can be read out."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 signs without l, o, 0 and 1
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5))


_OPERATOR = (operator.c.id, operator.c.name, operator.c.role, operator.c.created_at)


def _is_over(created_at: str, seen_at: str, moment: datetime) -> bool:
    return moment - parse_iso(seen_at) > IDLE or moment - parse_iso(created_at) > ABSOLUTE


def _digest(token: str) -> str:
    # A fast hash is right here: the token is random, there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # Argon2id, RFC 9106's second recommended choice: 64 MiB, 3 passes


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))


def _verifies(known: str, password: str) -> bool:
    try:
        return _hasher().verify(known, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False


def _hash(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadUsage(
            f"the password has {len(password)} characters; it must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}",
            "to generate one: --generate",
        )
    return _hasher().hash(password)


def _checked_name(name: str) -> str:
    lowered = name.lower()
    if not _NAME.fullmatch(lowered):
        raise BadUsage(f"{name!r} is not a valid name for an operator", "use at most 64 letters, digits and . _ @ -")
    return lowered
