"""Requests from outside the command line: a form, a step of the manual, a JSON document."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tabsync.kernel.errors import BadUsage
from tabsync.kernel.plain import is_text
from tabsync.kernel.procedure import Procedure
from tabsync.kernel.request import Field


def parse(procedure: Procedure, values: Mapping[str, Any], stores: Collection[str] | None = None) -> Any:
    """The request that some values make.

    values: by the names of its fields, as JSON or as the text of a form, in which an empty field is one not given;
    stores: the names of the stores, for a request of somebody who has no shell on this machine: such a one may name
    neither files here, nor servers, nor other stores. Raises BadUsage, naming the field and what is wrong with it.
    """
    known = {one.name: one for one in procedure.fields}
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known) or 'no fields'}"
            raise BadUsage(f"{procedure.words} has no field {name!r}", hint)
        if not _is_text(value):
            raise BadUsage(f"{procedure.words}: {name} is not valid: it is not text in UTF-8", known[name].asked.help)
    if stores is not None:
        _check_reach(procedure, known, values, stores)
    told = {name: _given(known[name], value) for name, value in values.items()}
    given = {name: value for name, value in told.items() if value not in ("", None, [])}
    try:
        request: Any = TypeAdapter(procedure.request_type).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        about = known[name].asked.help if name in known else ""
        wrong = "is missing" if first["type"] == "missing" else f"is not valid: {first['msg'].lower()}"
        raise BadUsage(f"{procedure.words}: {name or 'the request'} {wrong}", about) from None
    _check_bounds(procedure, request)
    return request


def _check_bounds(procedure: Procedure, request: Any) -> None:
    for one in procedure.fields:
        value = getattr(request, one.name)
        low, high = one.asked.minimum, one.asked.maximum
        values = () if value is None else value if one.many else (value,)
        if any((low is not None and each < low) or (high is not None and each > high) for each in values):
            bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
            raise BadUsage(f"{procedure.words}: {one.name} is not valid: it is {value}, not {bounds}", one.asked.help)


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


def _is_text(value: Any) -> bool:
    """Whether text can be stored and shown: JSON can name half of a pair, which is no character."""
    texts = value if isinstance(value, list) else [value]
    return all(is_text(one) for one in texts if isinstance(one, str))


def _given(one: Field, value: Any) -> Any:
    if not one.many or not isinstance(value, str | list):
        return value
    several = [value] if isinstance(value, str) else value
    return [each for each in several if each != ""]  # an empty field of a form is one not given
