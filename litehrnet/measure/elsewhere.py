"""A network that runs in another Python: some runtimes need an environment of their own.

The other Python must have this package, too. It opens the file once (`main`), and then answers one array after the
other over its standard input and output.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

import numpy as np

from ..checks import first_line, last_line
from .alone import Task, open_task, started_by

__all__ = ["Elsewhere", "export_elsewhere"]

_WORKED, _FAILED = b"1", b"0"  # how an answer begins


class Elsewhere:
    """Images (N, 3, H, W) in, heatmaps out, as `litehrnet.runtimes.Run`; the network runs in another process.

    Close it, or use it in a `with` statement, to end the process.
    """

    def __init__(self, task: Task, python: str | Path) -> None:
        """Start the process.

        Args:
            task: what to run.
            python: the interpreter to run it with.

        Raises:
            ValueError: there is no such interpreter, or the network does not open there; the message is that of the
                process.
        """
        self._name = f"{Path(task.path).name} in {task.runtime}"
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        command = [str(python), "-c", f"from {__name__} import main; main()"]
        try:
            with started_by(python):
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
                )
        except ValueError:
            self._said.close()
            raise
        assert self._process.stdin is not None and self._process.stdout is not None
        self._asked, self._answers = self._process.stdin, self._process.stdout
        try:
            self._ask(json.dumps(asdict(task)).encode())
        except ValueError:
            self.close()
            raise

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The heatmaps of these images.

        Raises:
            ValueError: the network refuses them, or the process has ended.
        """
        return _array(self._ask(_packed(images)))

    def _ask(self, content: bytes) -> bytes:
        with contextlib.suppress(BrokenPipeError):  # the process has ended, and the missing answer tells
            _put(self._asked, content)
        said = _get(self._answers)
        if said is None:
            self._process.wait()
            self._said.seek(0)
            raise ValueError(f"{self._name} ended: {last_line(self._said.read(), 'no reason')}")
        if said[:1] == _FAILED:
            raise ValueError(said[1:].decode())
        return said[1:]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):  # what was not sent before the process ended
            self._asked.close()
        self._process.wait()
        self._answers.close()
        self._said.close()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _packed(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _array(content: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(content))
    return array


def _put(stream: IO[bytes], content: bytes) -> None:
    """Write one message: its length, and what it says."""
    stream.write(len(content).to_bytes(8, "little") + content)
    stream.flush()


def _get(stream: IO[bytes]) -> bytes | None:
    """Read one message; None where there is no more."""
    length = stream.read(8)
    return stream.read(int.from_bytes(length, "little")) if len(length) == 8 else None


def main() -> None:
    """What the process runs: the first message is the task, and every other one an array."""
    # What a library prints must not come between the answers.
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    run: Callable[[np.ndarray], np.ndarray] | None = None
    while (message := _get(asked)) is not None:
        try:
            if run is None:
                task = json.loads(message)
                run = open_task(Task(**task | {"size": tuple(task["size"])}))
                _put(answers, _WORKED)
            else:
                _put(answers, _WORKED + _packed(run(_array(message))))
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            _put(answers, _FAILED + first_line(error).encode())


def export_elsewhere(
    python: str | Path, checkpoint: Path, path: Path, size: tuple[int, int], options: Sequence[str] = ()
) -> Path:
    """Run `litehrnet export` in another Python, which keeps a file only if it agrees with torch.

    Args:
        python: the interpreter.
        checkpoint: what to export.
        path: the file to write; its ending selects the format.
        size: (height, width).
        options: more options of the command, such as "--fused".

    Raises:
        ValueError: there is no such interpreter, or the export fails; the message is that of the command.
    """
    command = [str(python), "-m", "litehrnet", "export", str(checkpoint), "-o", str(path)]
    command += ["--size", f"{size[0]}x{size[1]}", *options]
    with started_by(python):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(last_line(done.stderr, "the export failed").removeprefix("litehrnet export: "))
    return path
