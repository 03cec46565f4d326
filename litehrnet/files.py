"""Files: finding the project's own, checking a given name, and writing results completely or not at all."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PACKAGE_SUFFIX", "data_path", "existing_file", "is_package", "plainly_named", "written_together",
           "written_whole"]  # fmt: skip

PACKAGE_SUFFIX = ".mlpackage"
_PACKAGE = Path(__file__).resolve().parent
_URL = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:/+", re.IGNORECASE)  # pathlib turns // into /


def data_path(name: str) -> Path:
    """The path of a file in the project's `data/` folder.

    Args:
        name: path below `data/`, such as "astronaut.jpg".

    Raises:
        FileNotFoundError: this installation has no such file; the message lists those it has.

    >>> data_path("astronaut.jpg").name
    'astronaut.jpg'
    """
    # A wheel carries the folder as litehrnet/data; in a checkout it is beside the package.
    folders = [folder for folder in (_PACKAGE / "data", _PACKAGE.parent / "data") if folder.is_dir()]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    known = sorted({path.name for folder in folders for path in folder.iterdir()})
    raise FileNotFoundError(f"no data file {name!r} comes with this installation; there are: {', '.join(known)}")


def is_package(path: str | Path) -> bool:
    """Whether this is a folder that users see as one file: a Core ML package, named so.

    >>> is_package("my.onnx")
    False
    """
    return Path(path).suffix.lower() == PACKAGE_SUFFIX and Path(path).is_dir()


def existing_file(path: str | Path) -> Path:
    """Return `path` as a `Path` if it names an ordinary file, or say in one sentence what it names instead.

    A package (`is_package`) counts as a file.

    Raises:
        FileNotFoundError: nothing has this name; the message suggests the most similar name in the folder.
        IsADirectoryError: it is a folder.
        PermissionError: the file, or its folder, may not be read.
        ValueError: an empty name, a web address, a pipe or a device.

    >>> existing_file("https://example.com/photo.jpg")
    Traceback (most recent call last):
    ...
    ValueError: 'https://example.com/photo.jpg' is a web address: download the file and give its name
    """
    text = os.fspath(path)
    if text in ("", ".") and not isinstance(path, Path):
        raise ValueError("the file name is empty" if not text else ". is a folder; give the name of a file in it")
    if "\0" in text:
        raise ValueError(f"{text!r} is not a file name: it contains a zero character")
    path = Path(path)
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise _nothing_there(text, path) from None
    except PermissionError as error:
        raise PermissionError(f"{path} may not be read: permission denied in its folder") from error
    except OSError as error:  # a name that is too long, a loop of links
        raise OSError(f"{_shortened(text)} cannot be opened: {(error.strerror or 'unknown').lower()}") from error
    if is_package(path):
        return path
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    if not stat.S_ISREG(kind):
        what = "a pipe" if stat.S_ISFIFO(kind) else "a socket" if stat.S_ISSOCK(kind) else "a device"
        raise ValueError(f"{path} is {what}, not an ordinary file: save its content in a file first")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path} may not be read: permission denied")
    return path


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, ValueError: there is no such file (`existing_file`).
        ValueError: it is not JSON in UTF-8.
    """
    path = existing_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def _nothing_there(text: str, path: Path) -> Exception:
    """The error that says why there is no file with this name."""
    if _URL.match(text):
        return ValueError(
            f"{re.sub(':/+', '://', text, count=1)!r} is a web address: download the file and give its name"
        )
    if text == "-":
        return ValueError("- would be standard input, which is not read: save its content in a file first")
    if path.is_symlink():
        return FileNotFoundError(f"no such file: {path} is a link to {path.readlink()}, which does not exist")
    if not path.parent.is_dir():
        return FileNotFoundError(f"no such file: {path} (there is no folder {path.parent})")
    try:
        similar = difflib.get_close_matches(path.name, [other.name for other in path.parent.iterdir()], 1, 0.8)
    except OSError:
        similar = []
    hint = f"; did you mean {path.with_name(similar[0])}?" if similar else ""
    return FileNotFoundError(f"no such file: {path}{hint}")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


@contextlib.contextmanager
def plainly_named(path: Path, *others: Path) -> Iterator[tuple[Path, ...]]:
    """Names for files that every library can open: the files' own names, or links to them.

    Bindings made with pybind11 or nanobind refuse a name whose bytes are not UTF-8.

    Args:
        path: the file.
        others: files that belong to it.

    Yields:
        One name for each file, valid within the block.

    >>> with plainly_named(Path("my.onnx")) as (name,):
    ...     str(name)
    'my.onnx'
    """
    files = (path, *others)
    try:
        "".join(map(str, files)).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            links = tuple(Path(folder) / f"{number}{''.join(file.suffixes)}" for number, file in enumerate(files))
            for link, file in zip(links, files, strict=True):
                link.symlink_to(file.resolve())
            yield links
    else:
        yield files


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` on success and is removed on failure.

    A reader therefore never sees half a file, and an older file stays until the new one is complete. Symbolic links are
    followed, not replaced.

    Raises:
        FileNotFoundError: the folder of `path` does not exist.
        IsADirectoryError: `path` is a folder.
        ValueError: `path` is a pipe or a device, which the new file would replace.
        OSError: its folder cannot be written to.
    """
    with written_together([path]) as (temporary,):
        yield temporary


@contextlib.contextmanager
def written_together(paths: Sequence[str | Path]) -> Iterator[tuple[Path, ...]]:
    """Like `written_whole`, for files that belong together: either all of them are replaced, or none.

    Args:
        paths: the files to write; packages (`is_package`) count as files. Files in the same folder also share a
            temporary folder, so a writer that puts its second file beside the first puts it in the right place.

    Yields:
        One temporary path for each of `paths`, with the same file name.
    """
    targets = [_target(Path(path)) for path in paths]
    with contextlib.ExitStack() as stack:
        folders: dict[Path, Path] = {}
        for path, target in zip(map(Path, paths), targets, strict=True):
            if target.parent not in folders:
                folders[target.parent] = Path(stack.enter_context(_folder_beside(path, target)))
        temporaries = tuple(
            folders[target.parent] / Path(path).name for path, target in zip(paths, targets, strict=True)
        )
        yield temporaries
        with contextlib.ExitStack() as undo:
            for temporary, target in zip(temporaries, targets, strict=True):
                _remember(target, temporary.with_name(f"{temporary.name}.before"), undo, whole=temporary.is_dir())
                temporary.replace(target)
            undo.pop_all()  # all files are in place, so there is nothing to undo


def _target(path: Path) -> Path:
    """The file that would be replaced by writing `path`; links are followed."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    if path.is_dir() and not is_package(path):
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        raise OSError(f"cannot write {path}: it is a link that leads back to itself") from error
    if target.exists() and not target.is_file() and not target.is_dir():
        raise ValueError(f"cannot write {path}: it is a pipe or a device, not an ordinary file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: it is a link into {target.parent}, which does not exist")
    return target


def _folder_beside(path: Path, target: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix=f".{path.stem[:40]}-", dir=target.parent)
    except OSError as error:  # name the path that was given, not the temporary one
        raise type(error)(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error


def _remember(target: Path, copy: Path, undo: contextlib.ExitStack, *, whole: bool = False) -> None:
    """Register with `undo` a step that restores `target` to its present state.

    A folder cannot be replaced in one step, nor can a file by a folder (`whole`): there the old one is moved away.
    """
    if not target.exists():
        undo.callback(_remove, target)
        return
    if whole or target.is_dir():
        target.replace(copy)
        undo.callback(copy.replace, target)
        undo.callback(_remove, target)  # callbacks run in reverse order
        return
    try:
        copy.hardlink_to(target)
    except OSError:  # a file system without hard links
        shutil.copy2(target, copy)
    undo.callback(copy.replace, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
