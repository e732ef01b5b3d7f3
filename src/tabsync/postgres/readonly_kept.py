"""The proofs of statements, kept for as long as what they depend on stays as it is.

A proof asks the catalog of functions, types, operators, casts and views; that costs more than most statements it is
about. Whether any of that has changed is one statement (`key` in readonly.sql), which is asked before each use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabsync.postgres.pipe import BACK, ROLLBACK, SAVEPOINT, Pipe
from tabsync.postgres.queries import named
from tabsync.postgres.readonly_proof import Proof, judged, look_up, types_named
from tabsync.postgres.settings import SEARCH_PATH

_SQL = named(__package__, "readonly.sql")
_SESSION_SQL = named(__package__, "session.sql")


@dataclass(frozen=True, slots=True)
class Here:
    """What holds for one reading transaction. every, path: where the application's names are looked up.

    reader: the role that a superuser becomes, "" where there is none or nobody has to.
    """

    key: tuple[str, ...]
    every: tuple[str, ...]
    path: tuple[str, ...]
    reader: str


@dataclass(slots=True)
class Kept:
    """The proofs of one session to one database, and by what key they were made. types: the names it looks after.

    first: what each transaction begins with; see connect_to_look().
    """

    first: tuple[str, ...] = ()
    _key: tuple[Any, ...] = ()
    _proofs: dict[str, Proof] = field(default_factory=dict)
    _types: frozenset[str] = frozenset()

    def opening(self, pipe: Pipe, limits: Mapping[str, str]) -> tuple[str, ...]:
        """The statements that open a reading transaction and bound it."""
        return _SQL["begin"], *self.first, pipe.filled(_SQL["bound"], {"search_path": SEARCH_PATH, **limits})

    def begin(self, pipe: Pipe, texts: Iterable[str], limits: Mapping[str, str], *, alone: bool) -> Here:
        """Open a reading transaction and see what holds there, in one round trip. Raises psycopg.Error.

        alone: it is for this only, and has ended.
        """
        self._types |= types_named(texts)
        found = pipe.rows(
            *self.opening(pipe, limits),
            SAVEPOINT,
            pipe.filled(_SQL["key"], {"types": sorted(self._types)}),
            _SQL["reader"],
            pipe.filled(_SESSION_SQL["as_application"], {"local": True}),
            _SQL["meant"],
            ROLLBACK if alone else BACK,  # to our own search_path too
        )
        (key,), readers, (meant,) = found[-5], found[-4], found[-2]
        reader = str(readers[0]["rolname"]) if readers else ""
        return Here(tuple(map(str, key.values())), tuple(meant["every"]), tuple(meant["path"]), reader)

    def proofs(
        self, pipe: Pipe, texts: Sequence[str], here: Here, limits: Mapping[str, str], *, alone: bool
    ) -> Mapping[str, Proof]:
        """The proofs of statements, made anew where they are missing or what they depend on has changed.

        alone: in a transaction of its own. Raises psycopg.Error when the server can't be asked.
        """
        key = (here.key, here.every, here.path)
        if key != self._key:
            self._proofs.clear()
            self._key = key
        missing = [text for text in texts if text not in self._proofs]
        if missing:
            if alone:
                pipe.rows(*self.opening(pipe, limits))
            catalog = look_up(pipe, missing, here.every)
            if alone:
                pipe.rows(ROLLBACK)
            self._proofs |= {text: judged(text, catalog, here.every, here.path) for text in missing}
        return self._proofs


def search_path(pipe: Pipe, path: str) -> str:
    """The statement that sets it until the end of the transaction."""
    return pipe.filled(_SESSION_SQL["search_path"], {"search_path": path, "local": True})
