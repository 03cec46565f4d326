"""Where the project's small data files lie, in a checkout and in a wheel, and how files are written safely."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["data_path", "written_whole"]

_PACKAGE = Path(__file__).resolve().parent


def data_path(name: str) -> Path:
    """The path of a file of the project's `data/` folder.

    Args:
        name: path below `data/`, such as "astronaut.jpg".

    Raises:
        FileNotFoundError: no such file comes with this installation; the sentence lists what there is.

    >>> data_path("astronaut.jpg").name
    'astronaut.jpg'
    """
    # A wheel carries the folder as litehrnet/data; in a checkout it lies beside the package.
    folders = [folder for folder in (_PACKAGE / "data", _PACKAGE.parent / "data") if folder.is_dir()]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    known = sorted({path.name for folder in folders for path in folder.iterdir()})
    raise FileNotFoundError(f"no data file {name!r} comes with this installation; there are: {', '.join(known)}")


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it when the block ends well, removed when it does not.

    So that a reader never sees half a file, and an older file stays until the new one is whole.

    A link stays one: what it leads to is written.

    Raises:
        FileNotFoundError: the folder of `path` does not exist.
        IsADirectoryError: `path` is a folder.
        ValueError: `path` is a pipe or a device, which a renamed file would replace.
        OSError: nothing can be written into its folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file in it")
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"cannot write {path}: it is no ordinary file")
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary folder's name
    with folder:
        temporary = Path(folder.name) / path.name  # same name and suffix: writers look at the suffix
        yield temporary
        temporary.replace(target)
