"""Requests from outside the command line: a form, a step of the manual, a JSON document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.procedure import Procedure
from tabsync.kernel.request import Field


def parse(procedure: Procedure, values: Mapping[str, Any], stores: Collection[str] | None = None) -> Any:
    """The request that some values make.

    values: by the names of its fields, as JSON or as the text of a form, in which an empty field is one not given;
    stores: the names of the stores, for a request of somebody who has no shell on this machine: such a one may name
    neither files here, nor servers, nor other stores. Raises BadUsage, naming the field and what is wrong with it.
    """
    known = {one.name: one for one in procedure.fields}
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known) or 'no fields'}"
            raise BadUsage(f"{procedure.words} has no field {name!r}", hint)
    if stores is not None:
        _check_reach(procedure, known, values, stores)
    given = {name: _given(known[name], value) for name, value in values.items() if value not in ("", None)}
    try:
        return TypeAdapter(procedure.request_type).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        about = known[name].asked.help if name in known else ""
        wrong = "is missing" if first["type"] == "missing" else f"is not valid: {first['msg'].lower()}"
        raise BadUsage(f"{procedure.words}: {name or 'the request'} {wrong}", about) from None


def _check_reach(
    procedure: Procedure, known: Mapping[str, Field], values: Mapping[str, Any], stores: Collection[str]
) -> None:
    for name, value in values.items():
        if value in ("", None):
            continue
        if known[name].of == "host":
            flag = known[name].flags[0]
            raise BadUsage(f"{procedure.words}: {name} can only be given on the command line", f"use {flag} there")
        if known[name].of == "store" and str(value).lower() not in [one.lower() for one in stores]:
            named = ", ".join(stores) or "it names none"
            raise BadUsage(f"{procedure.words}: tabsync.toml names no store {value!r}", f"[stores]: {named}")


def _given(one: Field, value: Any) -> Any:
    return [value] if one.many and isinstance(value, str) else value
