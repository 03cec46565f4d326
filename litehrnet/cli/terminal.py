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

__all__ = ["counted", "discard", "flush", "prepare", "progress", "spinner"]

_HANDLER = "litehrnet"
_PATIENCE = 3.0  # seconds of silence before something slow says what it is

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


@contextlib.contextmanager
def spinner(text: str, slow: str | None = None) -> Iterator[None]:
    """Show on a terminal what is running, and for how many seconds; elsewhere, show nothing unless it is slow.

    Args:
        text: what is running.
        slow: what to add to the text where it takes so long that silence would be worrying; None: it does not.

    The line disappears when the work is done. A terminal that cannot move its cursor (`TERM=dumb`), or whose user wants
    plain text (`NO_COLOR`), gets one line that stays.
    """
    text += slow or ""
    if sys.stderr is None or not sys.stderr.isatty():
        notice = threading.Timer(_PATIENCE, print, [text], {"file": sys.stderr, "flush": True})
        notice.daemon = True
        if slow and sys.stderr is not None:
            notice.start()
        try:
            yield
        finally:
            notice.cancel()
        return
    if os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR"):
        print(f"{text} ...", file=sys.stderr, flush=True)
        yield
        return
    done = threading.Event()

    def turn() -> None:
        started = time.perf_counter()
        while not done.wait(0.1):
            sys.stderr.write(f"\r{text} ... {time.perf_counter() - started:.0f} s ")
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def counted(items: Iterable[Item], count: int | None, unit: str) -> Iterator[Item]:
    """Pass the items on; on a terminal, a line says how many are done and how long the rest will take.

    Args:
        items: what to give.
        count: how many they are, if that is known.
        unit: what to call one of them.
    """
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR"):
        yield from items
        return
    started = shown = time.perf_counter()
    for number, item in enumerate(items, 1):
        yield item
        now = time.perf_counter()
        if now - shown >= 0.1:
            shown = now
            rest = (
                "" if count is None else f" of {count}, {max(0, count - number) * (now - started) / number:.0f} s left"
            )
            sys.stderr.write(f"\r\x1b[K{unit} {number}{rest}")
            sys.stderr.flush()
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()


def progress(unit: str) -> Callable[[Sequence[Item]], Iterator[Item]]:
    """`counted` as a wrapper for a sequence."""
    return lambda items: counted(items, len(items), unit)
