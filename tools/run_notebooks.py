"""Execute the course's notebooks in order, each with a line of progress.

    python tools/run_notebooks.py              copies under build/notebooks/; the working tree stays clean
    python tools/run_notebooks.py --in-place   store the outputs in the notebooks themselves, solutions too

Stops at the first notebook that fails, with the notebook, the cell and the error, and exit code 1; a copy also fails
where a checked cell prints something other than the stored notebook. What an earlier run built stays.
"""

from __future__ import annotations

import argparse
import copy
import os
import shutil
import sys
import time
from pathlib import Path

import nbformat
import outputs
import zmq
from course import ROOT, drop_dead_frames, numbered, read
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm
from traitlets.config import Config

CELL_SECONDS = 600
# Kernels warn where the line to them is not encrypted, so it is.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}} if zmq.has("curve") else {})


class NotebookFailed(Exception):
    """A notebook stopped; the message names the notebook, the cell and the error.

    Attributes:
        notebook: the notebook up to the failure.
    """

    def __init__(self, message: str, notebook: NotebookNode) -> None:
        super().__init__(message)
        self.notebook = notebook


def execute(path: Path, folder: Path, *, compare: bool = False) -> NotebookNode:
    """Run one notebook from top to bottom, with `folder` as its working directory.

    Args:
        path: the notebook.
        folder: where it runs.
        compare: whether checked cells must print what they did when the notebook was stored.

    Returns:
        The notebook with its outputs, without time stamps.

    Raises:
        NotebookFailed: a cell raised, took too long, ended the kernel, or printed something else; `notebook` is on
            the exception.
    """
    notebook = read(path)
    stored = copy.deepcopy(notebook)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    started = time.monotonic()
    current = 0
    quiet = not sys.stderr.isatty()
    with tqdm(total=len(code), desc=path.stem, unit="cell", leave=False, disable=quiet) as bar:

        def on_start(cell: NotebookNode, cell_index: int) -> None:
            nonlocal current
            current = cell_index

        def on_done(cell: NotebookNode, cell_index: int) -> None:
            bar.update(cell.cell_type == "code")

        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,  # one text per cell, however the kernel splits it on this machine
            config=ENCRYPTED,
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=on_start,
            on_cell_complete=on_done,
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise NotebookFailed(_describe(path, notebook, current, _what_happened(error)), notebook) from error
    if compare and (found := outputs.changed(stored, notebook)):
        index, difference = found
        words = f"a checked cell printed something other than what the stored notebook (-) holds:\n\n{difference}"
        raise NotebookFailed(_describe(path, notebook, index, words), notebook)
    done = f"{len(code)}/{len(code)} cells"
    print(f"{path.stem:<32} {done:>13}  {time.monotonic() - started:6.1f} s", flush=True)
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this machine's Python
    return notebook


def _what_happened(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    if isinstance(error, CellTimeoutError):
        return f"it took longer than {CELL_SECONDS} s"
    return f"the kernel died: {error}"


def _describe(path: Path, notebook: NotebookNode, index: int, what: str) -> str:
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    source = "\n".join(f"    {line}" for line in notebook.cells[index].source.splitlines())
    return (
        f"{path.name} failed in cell {index + 1} of {len(notebook.cells)} "
        f"(code cell {code.index(index) + 1} of {len(code)}):\n\n{source}\n\n{what}"
    )


def execute_copies(source: Path, build: Path) -> None:
    """Execute the numbered notebooks of `source` as copies in `build/notebooks`."""
    folder = build / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in source.rglob("*"):  # pictures and the like, which a notebook may read
        target = folder / path.relative_to(source)
        if path.is_file() and path.suffix != ".ipynb" and ".ipynb_checkpoints" not in path.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in numbered(source):
        try:
            notebook = execute(path, folder, compare=True)
        except NotebookFailed as failure:
            failed = build / "failed" / path.name
            failed.parent.mkdir(exist_ok=True)
            nbformat.write(failure.notebook, failed)
            message = f"{failure}\n\nThe notebook as far as it came: {_shown(failed)}"
            raise NotebookFailed(message, failure.notebook) from failure
        nbformat.write(notebook, folder / path.name)


def execute_in_place(paths: list[Path]) -> None:
    """Execute notebooks in their own folders and store their outputs."""
    for path in paths:
        notebook = execute(path, path.parent)
        drop_dead_frames(notebook)
        nbformat.write(notebook, path)


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="with --in-place: these only")
    parser.add_argument("--in-place", action="store_true", help="store the outputs in the notebooks")
    parser.add_argument("--source", type=Path, default=ROOT / "notebooks")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    options = parser.parse_args(arguments)
    if options.notebooks and not options.in_place:
        parser.error("single notebooks go with --in-place")
    source, build = options.source.resolve(), options.build.resolve()
    models = build / "models"
    models.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LITEHRNET_MODELS", str(models))
    try:
        if options.in_place:
            stored = [*numbered(source), *numbered(source / "solutions"), *source.glob("template.ipynb")]
            execute_in_place(options.notebooks or stored)
        else:
            execute_copies(source, build)
    except NotebookFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
