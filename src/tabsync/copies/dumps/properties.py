"""What a dump holds of the database itself: its owner, settings, connection limit, grants, comment, labels.

pg_restore gives them back only with --create, and then only under the old name and before the rows. Here they are
given to the new database by its new name, and last: a setting that is brought back (default_transaction_read_only, a
time-out, a library) must not be in the way of the restore itself, and nobody gets in earlier than at the source.
https://www.postgresql.org/docs/current/app-pgrestore.html (--create)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tabsync.kernel.step import Facts
from tabsync.postgres.connect import Connection
from tabsync.postgres.toc import Entry

_TOKEN = re.compile(
    r"""(?x) [Ee]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | [\w$.]+ | \s+ | .""", re.DOTALL
)
_NAME = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_RIGHTS = r"[A-Z,\ ]+\ ON\ DATABASE"
_KNOWN = re.compile(
    rf"""(?xs) (?P<before> ALTER\ DATABASE | ALTER\ ROLE\ {_NAME}\ IN\ DATABASE | COMMENT\ ON\ DATABASE
      | GRANT\ {_RIGHTS} | REVOKE\ {_RIGHTS}
      | SECURITY\ LABEL\ FOR\ {_NAME}\ ON\ DATABASE ) \ {_NAME} (?P<after>\ .*)"""
)
_AS_ANOTHER = re.compile(rf"SET SESSION AUTHORIZATION (?:{_NAME}|'(?:[^']|'')*')|RESET SESSION AUTHORIZATION")
_ABOUT = ("COMMENT", "ACL", "SECURITY LABEL")


def of_database(entry: Entry) -> bool:
    """Whether an entry is about the database itself."""
    return entry.kind == "DATABASE PROPERTIES" or (entry.kind in _ABOUT and entry.name.startswith("DATABASE "))


def statements(entries: Iterable[Entry], database: str, *, no_owner: bool = False) -> list[str]:
    """The statements that give a database what a dump's entries say of it, under another name.

    no_owner: leave out owner and grants. A statement of another form than pg_dump's is left out: it runs outside of
    the new database, where no dump has anything to say.
    """
    found: list[str] = []
    for entry in entries:
        if entry.kind == "DATABASE" and entry.owner and not no_owner:
            found.insert(0, f"ALTER DATABASE {_name(database)} OWNER TO {_name(entry.owner)}")
        if of_database(entry) and not (no_owner and entry.kind == "ACL"):
            found += [renamed(one, database) for one in split(entry.definition)]
    return [one for one in found if one]


def tokens(text: str) -> list[str]:
    """The tokens of a text of SQL, blanks and quoted texts as one each."""
    return _TOKEN.findall(text)


def split(text: str) -> Iterator[str]:
    """The statements of a text, without their semicolons; those within quotes end nothing."""
    part = ""
    for piece in tokens(text):
        if piece == ";":
            yield part.strip()
            part = ""
        else:
            part += piece
    if part.strip():
        yield part.strip()


def renamed(statement: str, database: str) -> str:
    """A statement of pg_dump's about a database, about another one; "" when it is none of those that pg_dump writes."""
    if _AS_ANOTHER.fullmatch(statement):
        return statement
    match = _KNOWN.fullmatch(statement)
    return f"{match['before']} {_name(database)}{match['after']}" if match else ""


def give(connection: Connection, given: Sequence[str]) -> list[Facts]:
    """Run such statements, each for itself; lists those that the server refused: statement and error.

    Call it in a transaction: either the database has all of them that it may have, or none.
    """
    refused: list[Facts] = []
    for statement in given:
        try:
            with connection.transaction():
                connection.execute(sql.SQL(statement))  # the dump's, of a known form
        except psycopg.Error as error:
            refused.append({"statement": f"{statement};", "error": error.diag.message_primary or str(error)})
    return refused


def worded_there(given: Sequence[str]) -> list[str]:
    """The comments among them that a session in the database itself has to give, after all others.

    They are kept in the encoding of the database where they are given: in another one they are other letters.
    """
    return [one for one in given if one.startswith("COMMENT ") and not one.isascii()]


@contextmanager
def at_once(connection: Connection) -> Iterator[None]:
    """A transaction in which session authorization may change, and is ours again at its end."""
    with connection.transaction():
        yield
        connection.execute("reset session authorization")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'  # always: it may be a reserved word
