"""Prometheus' text format, read strictly where it matters."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabsync.kernel.errors import CannotConnect
from tabsync.providers.prometheus import read_points


def test_samples_are_read_with_labels_values_and_times() -> None:
    text = (
        '# HELP a Something {with} "odd" signs\n# TYPE a gauge\n\na 1\n  a{} 2.5e3\t1795600000000\r\n'
        'a{x="1",y="q\\"\\\\\\n\\t",} -.5\na{ x = "}" , y="2" } +Inf\na{x="é\u2028"} NaN\nb{x="1",x="2"} no\n'
    )
    found = read_points(text.encode(), {"a"})
    assert [(dict(one.labels), one.at) for one in found] == [
        ({}, None),
        ({}, 1795600000000),
        ({"x": "1", "y": 'q"\\\n\\t'}, None),
        ({"x": "}", "y": "2"}, None),
        ({"x": "é\u2028"}, None),
    ]
    assert [one.value for one in found[:4]] == [1, 2500, -0.5, math.inf]
    assert math.isnan(found[4].value)
    assert read_points(b"", {"a"}) == []


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a x",
        "a 1 2 3",
        "a 1 soon",
        'a{x="1" 2',
        "a{x=1} 2",
        'a{x="1"y="2"} 3',
        'a{x="1",x="2"} 3',
        "{} 1",
        "1 a",
        "a 0x10",
        "a 1_000",
        "a infinity",
        'a{x="1"',
        "a 1" + "0" * 400 + "e400x",
        'a{,x="1"} 2',
    ],
)
def test_what_is_not_the_format_is_refused(line: str) -> None:
    with pytest.raises(CannotConnect, match="not in Prometheus' text format: line 1"):
        read_points(f"{line}\n".encode(), {"a"})


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        read_points(body, {"a", "b"})
    except CannotConnect:
        return


@given(
    st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=4),
    st.floats(allow_nan=False),
)
def test_what_is_written_is_read(labels: dict[str, str], value: float) -> None:
    def escaped(word: str) -> str:
        return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    written = ",".join(f'{name}="{escaped(word)}"' for name, word in labels.items())
    try:
        body = f"a{{{written}}} {value!r}\n".encode()
    except UnicodeEncodeError:
        return  # half a pair of surrogates
    (point,) = read_points(body, {"a"})
    assert (dict(point.labels), point.value) == (labels, value)
