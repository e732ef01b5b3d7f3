"""Ends a step that takes longer than it may, wherever it waits: as Ctrl-C would."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ended_after(seconds: float | None) -> Iterator[Callable[[], bool]]:
    """Interrupt the block (KeyboardInterrupt) when it takes longer; gives a function that says whether it did.

    seconds: None: never. In the main thread waiting calls end at once; in another one, when they next return.
    """
    if seconds is None:
        yield lambda: False
        return
    watch = _Watch(threading.get_ident(), threading.current_thread() is threading.main_thread())
    timer = threading.Timer(seconds, watch.end)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: watch.ended
    finally:
        timer.cancel()
        watch.close()


class _Watch:
    def __init__(self, thread: int, main: bool) -> None:
        self._thread, self._main = thread, main
        self._lock = threading.Lock()
        self._closed = False
        self.ended = False

    def end(self) -> None:
        with self._lock:
            if self._closed:
                return
            self.ended = True
            if self._main:
                signal.pthread_kill(self._thread, signal.SIGINT)
            else:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
                )

    def close(self) -> None:
        with self._lock:
            self._closed = True
