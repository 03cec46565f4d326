"""The command `litehrnet`: `export`, `check`, `compare`, `predict`, `train`, `evaluate`, `bench` and `view`.

Results go to standard output; progress, notes and errors go to standard error. An expected error prints one sentence
and exits with code 1. A wrong call prints argparse's usage and exits with code 2. A signal ends a command with 128 plus
its number, after the command has removed any file that it had started to write.

Every import below is inside a function. An interrupt during a slow import is then handled like any other, and a command
loads only what it needs: `litehrnet predict photo.jpg --model my.onnx` runs without torch.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import would come before the handlers of signals
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `litehrnet`; None reads them from the command line.

    Returns:
        The exit code: 0 for success; 1 for an expected error, or a file that fails its check; 128 + n when ended by
        signal n: 130 after Ctrl-C, and 141 if the reader of the output has gone.

    Raises:
        SystemExit: a wrong call (code 2), or `--help` and `--version` (code 0).
    """
    from . import signals

    name = "litehrnet"
    try:
        with signals.as_exceptions() as received:
            from . import terminal

            terminal.prepare()
            args = _parse(arguments)
            name = f"litehrnet {args.command}"
            try:
                code: int = args.run(args)
            except Exception:
                # A library may have turned the interrupt into an error of its own: NumPy does, while it is imported.
                received.check()
                raise
            received.check()  # or may have swallowed it, as Python does with what is raised in a finaliser
            terminal.flush()
            return code
    except signals.Stopped as stopped:
        return _say(f"{name}: {stopped}", 128 + stopped.number)
    except KeyboardInterrupt:  # where another thread's main program handles the signals
        return _say(f"{name}: interrupted", 130)
    except BrokenPipeError:
        terminal.discard()
        return 141
    # torch, pnnx and the runtimes raise RuntimeError for anything that the machine, or they themselves, cannot do.
    except (ValueError, OSError, ImportError, MemoryError, RuntimeError, OverflowError) as error:
        from .text import sentence

        return _say(f"{name}: {sentence(error)}", 1)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    import sys

    from .parser import parse
    from .terminal import flush

    try:
        return parse(sys.argv[1:] if arguments is None else [str(word) for word in arguments])
    except SystemExit:  # after --help, whose output may go into a closed pipe
        flush()
        raise


def _say(text: str, code: int) -> int:
    import contextlib
    import sys

    from .terminal import end_lines

    end_lines()
    with contextlib.suppress(OSError, ValueError):  # nobody is reading any more
        print(text, file=sys.stderr, flush=True)
    return code
