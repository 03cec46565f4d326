"""Standard output and error: names that cannot be encoded, readers that have gone, and a line of progress."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["counted", "discard", "end_lines", "flush", "prepare", "progress", "say", "spinner"]

_HANDLER = "litehrnet"
_PATIENCE = 2.0  # seconds of silence before a command says what it is doing, where lines are not redrawn
_AGAIN = 30.0  # seconds after which it says so again
_ERASE = "\r\x1b[K"

Item = TypeVar("Item")


def prepare() -> None:
    """Let standard output and error print every file name, whatever their encoding.

    Bytes of a file name that are not UTF-8 are printed unchanged, so that a script can open the file; a character that
    the terminal's encoding lacks is printed as an escape.
    """
    codecs.register_error(_HANDLER, _escape)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and stream.errors != _HANDLER:
            stream.reconfigure(errors=_HANDLER)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of `codecs`: "surrogateescape" where that applies, "backslashreplace" elsewhere."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.backslashreplace_errors(one)


def flush() -> None:
    """Flush standard output while an error can still be reported.

    Raises:
        BrokenPipeError: the reader has gone.
        OSError: the disk is full, for example; the message names standard output.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard()
        raise OSError(f"cannot write to standard output: {(error.strerror or str(error)).lower()}") from error


def discard() -> None:
    """Discard what has not been printed yet; otherwise Python would try again at exit and complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Line:
    """A line on standard error that says what is running: redrawn on a terminal, repeated now and then elsewhere.

    A terminal that cannot move its cursor (`TERM=dumb`), or whose user wants plain text (`NO_COLOR`), counts as
    elsewhere.
    """

    def __init__(self, text: Callable[[], str], at_once: bool = False) -> None:
        self._text, self._stream, self._done = text, sys.stderr, threading.Event()
        terminal = self._stream is not None and self._stream.isatty()
        self._moves = terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()  # of the stream, between this line and what others print
        self._thread = threading.Thread(target=self._redraw if self._moves else self._repeat, daemon=True)
        if terminal and not self._moves and at_once:
            self._write(f"{text()}\n")

    def start(self) -> None:
        if self._stream is not None:
            _lines.append(self)
            self._thread.start()

    def stop(self) -> None:
        self._done.set()
        if self in _lines:
            _lines.remove(self)
            self._thread.join()

    def print(self, text: str) -> None:
        """Print a line above this one."""
        with self._lock:
            self._write(f"{_ERASE}{text}\n" if self._moves else f"{text}\n")

    def _redraw(self) -> None:
        while not self._done.wait(0.1):
            if self._innermost():
                with self._lock:
                    self._write(f"{_ERASE}{self._text()} ")
        self._write(_ERASE)

    def _repeat(self) -> None:
        wait = _PATIENCE
        while not self._done.wait(wait):
            if self._innermost():
                self._write(f"{self._text()}\n")
            wait = _AGAIN

    def _innermost(self) -> bool:
        return _lines[-1:] == [self]

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody is reading any more
            self._stream.write(text)
            self._stream.flush()


_lines: list[_Line] = []  # those that are shown, the innermost last


def say(text: str) -> None:
    """Print a line on standard error, above the line of progress if there is one.

    Raises:
        OSError, ValueError: nobody is reading any more.
    """
    if _lines:
        _lines[-1].print(text)
    else:
        print(text, file=sys.stderr, flush=True)


def end_lines() -> None:
    """Remove the lines of progress of work that an error has ended."""
    for line in reversed(_lines.copy()):
        line.stop()


@contextlib.contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """Say on standard error what is running, if it takes long enough to make people wonder.

    On a terminal, the line counts the seconds, and disappears when the work is done. Elsewhere there is a line after
    two seconds, and another one every half minute. Standard output is flushed first.

    Args:
        text: what is running.

    Yields:
        A function that takes what is running from now on.
    """
    flush()
    started = time.perf_counter()
    running = [text]
    line = _Line(lambda: f"{running[-1]} ... {time.perf_counter() - started:.0f} s", at_once=True)
    line.start()
    try:
        yield running.append
    finally:
        line.stop()


def counted(items: Iterable[Item], count: int | None, unit: str) -> Iterator[Item]:
    """Pass the items on; a line like that of `spinner` says which one it is at, and how long the rest will take.

    Args:
        items: what to give.
        count: how many they are, if that is known.
        unit: what to call one of them.
    """
    done, started = 0, time.perf_counter()

    def text() -> str:
        passed = time.perf_counter() - started
        if count is None:
            return f"{unit} {done + 1} ... {passed:.0f} s"
        rest = f", {max(0, count - done) * passed / done:.0f} s left" if done else ""
        return f"{unit} {min(done + 1, count)} of {count} ... {passed:.0f} s{rest}"

    line = _Line(text)
    line.start()
    try:
        for item in items:
            yield item
            done += 1
    finally:
        line.stop()


def progress(unit: str) -> Callable[[Sequence[Item]], Iterator[Item]]:
    """`counted` as a wrapper for a sequence."""
    return lambda items: counted(items, len(items), unit)
