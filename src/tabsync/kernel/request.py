"""What one may ask of a procedure: a dataclass whose annotated fields are the options on every surface."""

from __future__ import annotations

import types
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

INTEGER = 2**31 - 1
"""The largest of PostgreSQL's type integer: https://www.postgresql.org/docs/current/datatype-numeric.html"""

Kind: TypeAlias = Literal["text", "integer", "number", "flag", "path", "choice"]


@dataclass(frozen=True, slots=True)
class Argument:
    """A field of a request that is given by its place. metavar: what it is called in the help."""

    help: str
    metavar: str = ""
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """A field of a request that is given by name.

    flags: "--from"; by default its own name; unit: of a number; secret: it may hold a password; of: "host", it names
    something on this machine or beyond, and "store", a store: who has no shell here may not give the first, and of
    the second only those that tabsync.toml names.
    """

    help: str
    flags: tuple[str, ...] = ()
    unit: str = ""
    metavar: str = ""
    secret: bool = False
    of: Literal["", "host", "store"] = ""
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a request says, as a surface asks for it. many: it takes several values."""

    name: str
    kind: Kind
    asked: Argument | Option
    required: bool
    default: Any
    many: bool = False
    choices: tuple[str, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether it may hold a password: it is neither shown nor recorded."""
        return isinstance(self.asked, Option) and self.asked.secret

    @property
    def of(self) -> str:
        """What it names: something of the "host", a "store", or ""; paths are always the host's."""
        said = self.asked.of if isinstance(self.asked, Option) else ""
        return said or ("host" if self.kind == "path" else "")

    @property
    def positional(self) -> bool:
        """Whether it is given by its place on the command line."""
        return isinstance(self.asked, Argument)

    @property
    def flags(self) -> tuple[str, ...]:
        """Its options on the command line."""
        named = self.asked.flags if isinstance(self.asked, Option) else ()
        return named or (f"--{self.name.replace('_', '-')}",)


_KINDS: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "flag", Path: "path"}


def fields_of(request: type) -> tuple[Field, ...]:
    """The fields of a request model, a dataclass whose fields are Annotated with an Argument or an Option.

    Raises TypeError for a type that no surface could ask for.
    """
    hints = get_type_hints(request, include_extras=True)
    return tuple(_field(one.name, hints[one.name], one.default, one.default_factory) for one in fields(request))


def _field(name: str, hint: Any, default: Any, factory: Any) -> Field:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"field {name!r} says neither Argument nor Option")
    plain, asked = get_args(hint)[:2]
    required = default is MISSING and factory is MISSING
    value = None if required else factory() if default is MISSING else default
    many = get_origin(plain) is tuple
    if many:
        plain = get_args(plain)[0]
    if get_origin(plain) in (Union, types.UnionType):
        plain = next(one for one in get_args(plain) if one is not types.NoneType)
    if get_origin(plain) is Literal:
        return Field(name, "choice", asked, required, value, many, get_args(plain))
    if plain not in _KINDS:
        raise TypeError(f"field {name!r} is of type {plain}, which no surface can ask for")
    return Field(name, _KINDS[plain], asked, required, value, many)


@dataclass(frozen=True, slots=True)
class Nothing:
    """The request of a procedure that takes no options of its own."""
