"""Has a file's bytes on their way to the disk while the file is still being written.

Gigabytes that only fill the page cache are all written at the end, when the server's first sync waits for them; so the
disk works from the beginning. PostgreSQL does the same for its own files (pg_flush_data).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

# https://man7.org/linux/man-pages/man2/sync_file_range.2.html: SYNC_FILE_RANGE_WRITE, which waits for nothing
_WRITE = 0x02


def write_out(fd: int, offset: int, size: int) -> None:
    """Have a range of a file written to the disk, without waiting for it and without making it durable.

    offset, size: bytes. Where the system can't do that, nothing happens: who needs the file durable syncs it anyway.
    """
    if (call := _call()) is not None:
        call(ctypes.c_int(fd), ctypes.c_int64(offset), ctypes.c_int64(size), ctypes.c_uint(_WRITE))


@cache
def _call() -> Any:
    return getattr(ctypes.CDLL(None), "sync_file_range", None)  # it isn't there on macOS
