"""The folder of a run: the names in it, and whether a run may begin there. Free of torch."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["BEST", "CURVE", "LAST", "LOG", "RUN", "STATE", "check_folder"]

BEST, LAST, STATE = "best.safetensors", "last.safetensors", "last.pt"
LOG, CURVE, RUN = "log.jsonl", "curve.png", "run.json"


def check_folder(folder: Path, resume: bool) -> None:
    """Refuse, before any work, a folder that a run cannot use. It need not exist yet.

    Args:
        folder: for the results.
        resume: whether the run continues one that is there.

    Raises:
        ValueError: it holds a run, and `resume` is False; or there is none to resume.
        NotADirectoryError: it, or a folder that it is in, is a file.
        PermissionError: nothing can be written there.
    """
    nearest = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    if not nearest.is_dir():
        raise NotADirectoryError(f"{nearest} is not a folder; give a folder for the results")
    state = folder / STATE
    if resume and not state.is_file():
        raise ValueError(f"{folder} holds no run to resume: there is no {STATE}")
    if not resume and state.is_file():
        raise ValueError(f"{folder} already holds a run; add resume=True to continue it, or give another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write into {nearest}: permission denied")
