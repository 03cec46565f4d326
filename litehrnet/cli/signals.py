"""Ctrl-C, SIGTERM and SIGHUP all raise the same exception, which unwinds every `with` and `finally` on its way."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["Received", "Stopped", "as_exceptions", "check", "forget"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_PATIENCE = 1.0  # seconds during which a second signal does not interrupt the clean-up after the first


class Stopped(KeyboardInterrupt):
    """A signal asked the command to stop. Like KeyboardInterrupt, it is not an `Exception` that code may catch."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}")
        self.number = number

    @property
    def by_user(self) -> bool:
        """Whether it was Ctrl-C."""
        return self.number == signal.SIGINT


class Received:
    """The signal that arrived, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._at = 0.0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal and raise it; a second one soon after is ignored."""
        now = time.monotonic()
        if self.number is not None and now - self._at < _PATIENCE:
            return
        self.number, self._at = number, now
        raise Stopped(number)

    def check(self) -> None:
        """Raise `Stopped` if a signal arrived, even if its exception was caught."""
        if self.number is not None:
            raise Stopped(self.number)


_current = Received()


def check() -> None:
    """Raise `Stopped` if a signal asked the command to stop; call it before a step that cannot be undone."""
    _current.check()


def forget() -> None:
    """Forget the signal that arrived, for commands that normally end with Ctrl-C."""
    _current.number = None


@contextlib.contextmanager
def as_exceptions() -> Iterator[Received]:
    """Raise `Stopped` when a signal arrives; the previous handlers are restored afterwards.

    Signals that the process ignores from its start, such as SIGHUP under `nohup`, stay ignored. Only the main thread
    can handle signals; in other threads this does nothing.
    """
    global _current
    before = _current
    received = _current = Received()
    replaced = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(number) != signal.SIG_IGN:
                    replaced[number] = signal.signal(number, received.handle)
        yield received
    finally:
        _current = before
        for number, handler in replaced.items():
            signal.signal(number, handler)
