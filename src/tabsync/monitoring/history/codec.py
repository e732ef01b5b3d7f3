"""Samples as bytes: all of one scrape while its hour is open, then all of one series in that hour. Pure.

Numbers are written by column and by byte of the number: neighbours are alike then, which is what zlib lives on.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence, Set
from itertools import accumulate, pairwise
from typing import NamedTuple

_NONE = math.nan  # how a missing `of` is written: what isn't a number is never kept as one
_FAST, _SMALL = 1, 6  # of zlib: a scrape is written often and lives for an hour, a chunk is written once


class Sample(NamedTuple):
    """One value of a series. at: milliseconds since 1970; of: what it is a part of, None when nobody said."""

    at: int
    value: float
    of: float | None


class Scraped(NamedTuple):
    """One value of a scrape. series: its number in the file."""

    series: int
    value: float
    of: float | None


def pack_scrape(found: Sequence[Scraped]) -> bytes:
    """All values of a scrape."""
    head = struct.pack(f"<I{len(found)}I", len(found), *(one.series for one in found))
    return zlib.compress(head + _numbers(found), _FAST)


def unpack_scrape(body: bytes, wanted: Set[int] | None = None) -> list[Scraped]:
    """The inverse of pack_scrape(). wanted: only these series, which is less work."""
    plain = zlib.decompress(body)
    (count,) = struct.unpack_from("<I", plain)
    series = struct.unpack_from(f"<{count}I", plain, 4)
    if wanted is not None and wanted.isdisjoint(series):
        return []
    values, ofs = _read(plain, 4 + 4 * count, count)
    places = (place for place, one in enumerate(series) if wanted is None or one in wanted)
    return [Scraped(series[place], values[place], ofs[place]) for place in places]


def pack_chunk(samples: Sequence[Sample], start: int) -> bytes:
    """The samples of one series in an hour, in their order. start: of the hour, in milliseconds since 1970."""
    steps = [samples[0].at - start, *(after.at - before.at for before, after in pairwise(samples))]
    head = struct.pack(f"<I{len(steps)}i", len(samples), *steps)
    return zlib.compress(head + _numbers(samples), _SMALL)


def unpack_chunk(body: bytes, start: int) -> list[Sample]:
    """The inverse of pack_chunk()."""
    plain = zlib.decompress(body)
    (count,) = struct.unpack_from("<I", plain)
    times = list(accumulate(struct.unpack_from(f"<{count}i", plain, 4), initial=start))[1:]
    return [Sample(*one) for one in zip(times, *_read(plain, 4 + 4 * count, count), strict=True)]


def _numbers(found: Sequence[Sample] | Sequence[Scraped]) -> bytes:
    """Values, then what they are parts of, unless nobody said so of any."""
    values = _shuffled([one.value for one in found])
    if all(one.of is None for one in found):
        return values
    return values + _shuffled([_NONE if one.of is None else one.of for one in found])


def _read(plain: bytes, start: int, count: int) -> tuple[list[float], list[float | None]]:
    values = _unshuffled(plain[start : start + 8 * count])
    rest = plain[start + 8 * count :]
    if not rest:
        return values, [None] * count
    return values, [None if math.isnan(one) else one for one in _unshuffled(rest)]


def _shuffled(numbers: Sequence[float]) -> bytes:
    plain = struct.pack(f"<{len(numbers)}d", *numbers)
    return b"".join(plain[byte::8] for byte in range(8))


def _unshuffled(shuffled: bytes) -> list[float]:
    count = len(shuffled) // 8
    plain = bytearray(len(shuffled))
    for byte in range(8):
        plain[byte::8] = shuffled[byte * count : (byte + 1) * count]
    return list(struct.unpack(f"<{count}d", plain))
