"""Ends a step that takes longer than it may, wherever it waits: as Ctrl-C would."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_after(seconds: float | None) -> Iterator[Callable[[], bool]]:
    """Interrupt the block (KeyboardInterrupt) when it takes longer; gives a function that says whether it did.

    seconds: None: never. In the main thread waiting calls end at once; in another one, when they next return.
    """
    if seconds is None:
        yield lambda: False
    elif threading.current_thread() is threading.main_thread():
        with _alarm(seconds) as ended:
            yield ended
    else:
        watch = _Watch(threading.get_ident())
        timer = threading.Timer(seconds, watch.end)
        timer.daemon = True
        timer.start()
        try:
            yield lambda: watch.ended
        finally:
            timer.cancel()
            watch.close()


@contextmanager
def _alarm(seconds: float) -> Iterator[Callable[[], bool]]:
    # Not SIGINT, which a program that was started in the background of a script ignores.
    fired = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        fired.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield fired.is_set
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Watch:
    def __init__(self, thread: int) -> None:
        self._thread = thread
        self._lock = threading.Lock()
        self._closed = False
        self.ended = False

    def end(self) -> None:
        with self._lock:
            if not self._closed:
                self.ended = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
                )

    def close(self) -> None:
        with self._lock:
            self._closed = True
