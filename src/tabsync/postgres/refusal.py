"""What a refused connection means: the server's own words as the fact, and a hint where they are known.

libpq gives no SQLSTATE for a connection that is refused, and the text comes in the server's language. So nothing is
decided by it (see target.first_of for a database that is gone); only the hint is chosen by it, in a few languages.
"""

from __future__ import annotations

import re

import psycopg

from tabsync.kernel.errors import CannotConnect
from tabsync.postgres.conninfo import place

_FULL = (
    "too many c|too many clients|remaining connection slots|query_wait_timeout|no more connections allowed"
    "|zu viele Verbindungen|trop de clients|demasiados clientes|muitos clientes|クライアント数が多すぎます"
)
"""What is said where there is no room: by the server (SQLSTATE 53300), or by a pooler."""

_HINTS: tuple[tuple[str, str], ...] = (
    (
        "password authentication failed|Passwort-Authentifizierung|authentification par mot de passe"
        "|autentificaci.n password|autenticação do tipo senha|проверку подлинности|パスワード認証",
        "check the user; put the password into PGPASSWORD or ~/.pgpass",
    ),
    ("no password supplied", "put the password into PGPASSWORD or ~/.pgpass"),
    (
        r'database ".*" does not exist|Datenbank .* existiert nicht|base de données .* n.existe pas'
        r"|base de datos .* no existe|banco de dados .* não existe|база данных .* не существует"
        r"|データベース.*は存在しません|数据库.*不存在",
        "list the databases there with: psql -l",
    ),
    ("not currently accepting connections", "in another database: alter database NAME allow_connections true"),
    ("invalid database", "its DROP DATABASE was interrupted: drop it again, then: tabsync restore new"),
    (r'role ".*" does not exist', "check the user name in the URL or PGUSER"),
    ("could not translate host name|Name or service not known", "check the host name, or your network and DNS"),
    ("Connection refused|No such file or directory", "check host and port, and that the server is running"),
    ("timeout expired|timed out", "check host, port and firewall; a paused managed database needs resuming first"),
    ("no pg_hba.conf entry", "the server's pg_hba.conf has no entry for this user, database and address"),
    (
        _FULL,
        "all connections are in use; to see by whom, and to end some: tabsync connections show",
    ),
    ("server does not support SSL", "the server does not support TLS; remove sslmode, or turn TLS on in the server"),
    ("certificate", "check sslmode and sslrootcert"),
    ("service.* not found", "check ~/.pg_service.conf or PGSERVICEFILE"),
    ("starting up|shutting down|recovery mode", "the server is not ready yet; try again in a moment"),
)


def cannot_connect(error: psycopg.Error, conninfo: str) -> CannotConnect:
    """A refused connection as one line of fact and one of hint."""
    fact = _first_fact(str(error))
    hint = next(
        (hint for pattern, hint in _HINTS if re.search(pattern, str(error))), "try psql with the same connection string"
    )
    return CannotConnect(f"can't connect to {place(conninfo)}: {fact}", hint)


def may_be_full(error: CannotConnect) -> bool:
    """Whether a refusal may mean that there is no room, so that it is worth while to look for another way in.

    The text is all there is, and before the login it comes in any language and any encoding ("????"). So what is known
    to mean something else is excluded, and the rest may be this.
    """
    if re.search(_FULL, error.fact):
        return True
    return not any(re.search(pattern, error.fact) for pattern, _ in _HINTS)


def _first_fact(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    for line in lines:
        # The server's severity stands between, in its own language: FATAL, SCHWERWIEGEND, ...
        match = re.search(r".*failed: (?:\w+:\s+)?(.*)", line)
        if match and match[1]:
            return match[1]
    return lines[0] if lines else "no reason given"
