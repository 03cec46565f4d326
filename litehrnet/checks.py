"""Checks of arguments: an unknown choice, a number that is not one, a package that is not installed.

Torch-free and on the lowest floor, so every part of the package words its errors in the same way.
"""

from __future__ import annotations

import difflib
import importlib
import operator
import os
from collections.abc import Collection
from types import ModuleType
from typing import SupportsIndex

__all__ = ["check_choice", "check_threads", "check_whole", "first_line", "last_line", "require"]

THREADS_PER_PROCESSOR = 8  # more never helps, and some runtimes abort the process when asked for very many


def check_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Refuse a value that is not one of the choices.

    A value matches a choice if both are the same object or equal strings; `False` and `0`, or `True` and `1`, do not
    match each other.

    Args:
        name: what is chosen, in the words of the caller, such as "variant".
        value: what was given.
        choices: the possible values, in the order in which the message lists them.

    Raises:
        ValueError: `value` is not one of them; the message lists them and suggests the closest one, if any is close.

    >>> check_choice("pooling", "exact", ("adaptive", "computed", "exact"))
    >>> check_choice("pooling", "adaptve", ("adaptive", "computed", "exact"))
    Traceback (most recent call last):
    ...
    ValueError: unknown pooling 'adaptve'; did you mean 'adaptive'? Choose one of 'adaptive', 'computed', 'exact'
    """
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        return
    close: list[str] = []
    if isinstance(value, str):
        by_lower = {choice.lower(): choice for choice in choices if isinstance(choice, str)}
        matches = difflib.get_close_matches(value.lower(), by_lower, n=1)
        matches = matches or [choice for choice in by_lower if len(value) > 2 and choice.startswith(value.lower())]
        close = [by_lower[match] for match in matches]
    listed = ", ".join(map(repr, choices))
    if len(choices) == 1:
        raise ValueError(f"unknown {name} {value!r}; the only one is {listed}")
    if close:
        raise ValueError(f"unknown {name} {value!r}; did you mean {close[0]!r}? Choose one of {listed}")
    raise ValueError(f"unknown {name} {value!r}; choose one of {listed}")


def check_whole(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int, or say in one sentence why it is not accepted.

    Accepts Python ints and NumPy integers; refuses booleans, floats and strings, even those that hold a whole number.

    Args:
        name: what the number is, in the words of the caller, such as "batch".
        value: what was given.
        least, most: the bounds, both inclusive; None for `most` means no upper bound.

    Raises:
        ValueError: `value` is not an integer, or out of bounds.

    >>> check_whole("batch", 3)
    3
    >>> check_whole("batch", 0)
    Traceback (most recent call last):
    ...
    ValueError: batch must be an integer of at least 1, got 0
    """
    number = None
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        try:
            number = operator.index(value)
        except TypeError:  # arrays and tensors have the method and refuse
            number = None
    if number is None or number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {bounds}, got {value!r}")
    return number


def check_threads(threads: object) -> int:
    """Return a number of threads as an int, or refuse one that is too large for this machine.

    Raises:
        ValueError: not an integer of at least 1, or more than eight times this machine's processors.
    """
    number, processors = check_whole("threads", threads), os.cpu_count() or 1
    if number > THREADS_PER_PROCESSOR * processors:
        raise ValueError(
            f"threads must be at most {THREADS_PER_PROCESSOR * processors} on this machine, which has {processors} "
            f"processor{'s' if processors > 1 else ''}, got {number}"
        )
    return number


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not blank, or the error's type if the message is empty.

    >>> first_line(ValueError("\\n  too large  \\nat line 3"))
    'too large'
    >>> first_line(MemoryError())
    'MemoryError'
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def last_line(text: str, otherwise: str) -> str:
    """The last line that is not blank of what a program printed, or something else if there is none.

    >>> last_line("Traceback\\nValueError: too large\\n\\n", "no reason")
    'ValueError: too large'
    >>> last_line("\\n", "no reason")
    'no reason'
    """
    return next((line for line in reversed(text.splitlines()) if line.strip()), otherwise)


def require(name: str, package: str | None = None) -> ModuleType:
    """Import a module that an ordinary installation may lack.

    Args:
        name: the module, such as "openvino".
        package: what pip installs, if its name differs or a version is needed ("netron>=9.3").

    Raises:
        ImportError: it is not installed; the message gives the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is installed, but one of its own imports is missing
        wanted = package or name
        wanted = f"'{wanted}'" if set(wanted) & set("<>=[") else wanted
        raise ImportError(f"{error.name} is not installed; install it with: pip install {wanted}", name=name) from error
