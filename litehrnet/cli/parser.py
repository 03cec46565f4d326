"""The command line's grammar: commands, the types of their options, and the messages for wrong calls."""

from __future__ import annotations

import argparse
import difflib
import math
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from .._version import __version__

__all__ = ["Parser", "build_parser", "parse"]

# Each is a module beside this one.
COMMANDS = ("export", "check", "compare", "predict", "train", "evaluate", "bench", "view")
SEVERAL = ("models", "photos")  # arguments that can be repeated
_FILES = ("checkpoint", "joints", "model", *SEVERAL)  # options for a file's name or another name
LARGEST_COUNT = 10**9
# The same as in `litehrnet.runtimes`, which would import NumPy.
RUNTIMES = ("torch", "onnxruntime", "openvino", "ncnn", "c", "executorch", "litert", "mnn")
PRECISIONS = ("float32", "float16", "bfloat16")
DEVICES = ("cpu", "cuda", "tensorrt")
EXPORTED_ENDINGS = (".onnx", ".xml", ".param", ".lhr", ".pte", ".tflite", ".mnn")
CHECKPOINT_ENDINGS = (".pth", ".pt", ".safetensors")
EXPORTED = f"an exported file ({', '.join(EXPORTED_ENDINGS)})"
CHECKED = f"{EXPORTED[:-1]}, .mlpackage)"  # which can be compared, but not run
CHECKPOINT = (
    f"a checkpoint ({', '.join(CHECKPOINT_ENDINGS)}; official and mmpose names), or the name of bundled weights"
)

# Options of other tools, and the one here for the same thing; a command has some of these.
OTHER_NAMES = {
    "--annotations": ("DATA",),
    "--ann-file": ("--annotations", "DATA"),
    "--data": ("--annotations", "DATA"),
    "--checkpoint": ("--start", "--model", "MODEL", "CHECKPOINT"),
    "--weights": ("--start", "--model", "--checkpoint", "MODEL"),
    "--onnx": ("--model", "MODEL"),
    "--model": ("MODEL", "CHECKPOINT"),
    "--models": ("--model", "MODEL", "CHECKPOINT"),
    "--half": ("--weights float16", "--precision float16", "--precisions float16"),
    "--fp16": ("--precision float16", "--precisions float16"),
    "--bf16": ("--precision bfloat16", "--precisions bfloat16"),
    "--int8": ("--weights int8 --calibrate FOLDER",),
    "--precision": ("--weights",),
    "--format": ("--to",),
    "--target": ("--to",),
    "--img-size": ("--size", "--sizes"),
    "--imgsz": ("--size", "--sizes"),
    "--input-shape": ("--size", "--sizes"),
    "--shape": ("--size", "--sizes"),
    "--sizes": ("--size",),
    "--source": ("PHOTO",),
    "--input": ("PHOTO",),
    "--image": ("--images", "PHOTO"),
    "--img": ("--images", "PHOTO"),
    "--bbox": ("--box",),
    "--out": ("--output",),
    "--out-file": ("--output",),
    "--gpu": ("--device cuda",),
}


class Parser(argparse.ArgumentParser):
    """argparse's parser, which also asks "did you mean" and keeps the line breaks in examples."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse's own method would not notice that nobody reads the pipe any more."""
        print(self.format_help(), file=file or sys.stdout, end="")

    def error(self, message: str) -> NoReturn:
        """Print the usage and one sentence, and exit with code 2."""
        super().error(f"{message}{self._meant(message)}")

    def _meant(self, message: str) -> str:
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            return did_you_mean(choice[1], re.split(r", ", choice[2].replace("'", "")))
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split(" ")[0].split("=")[0]
            if word.startswith("-"):
                return self._by_another_name(word) or did_you_mean(word, self._option_string_actions, 0.7)
            if "--checkpoint" in self._option_string_actions and kind_by_name(word) == "checkpoint":
                return f"; did you mean --checkpoint {word}?"
        return ""

    def _by_another_name(self, word: str) -> str:
        """What this command calls an option of another tool, if it has it; otherwise nothing."""
        places = {action.metavar for action in self._actions if not action.option_strings}
        for meant in OTHER_NAMES.get(word.replace("_", "-").lower(), ()):
            if meant.split(" ")[0] in self._option_string_actions:
                return f"; did you mean {meant}?"
            if meant in places:
                return f"; {meant} is given without an option"
        return ""


def kind_by_name(word: str) -> str | None:
    """What a file's name says that it is: an exported model, a checkpoint, or neither.

    >>> kind_by_name("my.ncnn.param"), kind_by_name("my.pth"), kind_by_name("photo.jpg")
    ('model', 'checkpoint', None)
    """
    if word.lower().endswith(EXPORTED_ENDINGS):
        return "model"
    return "checkpoint" if word.lower().endswith(CHECKPOINT_ENDINGS) else None


def did_you_mean(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """A question to add to a message if something known resembles the word; otherwise nothing.

    >>> did_you_mean("opnvino", ["onnx", "openvino"])
    '; did you mean openvino?'
    """
    similar = difflib.get_close_matches(word, list(known), 1, least)
    return f"; did you mean {similar[0]}?" if similar else ""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line: the command to run as `args.run`, and its options.

    Raises:
        SystemExit: a wrong call, or a request for help.
    """
    parser = build_parser()
    args, unknown = parser.parse_known_args(_with_boxes_joined(arguments))
    if args.command is None and not unknown:
        parser.print_help()
        parser.exit()
    own: Parser = args.parser if args.command else parser
    several = next((name for name in SEVERAL if hasattr(args, name)), None)
    if unknown and several and not any(word.startswith("-") for word in unknown):
        getattr(args, several).extend(unknown)  # argparse takes all words before the first option, or all after it
        unknown = []
    if unknown:
        own.error(f"unrecognized arguments: {' '.join(unknown)}")
    return args


def _with_boxes_joined(arguments: Sequence[str]) -> list[str]:
    """``--box -5,0,300,400`` as ``--box=-5,0,300,400``: argparse takes a leading minus for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--box":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def build_parser() -> Parser:
    """The parser of `litehrnet`, with all commands."""
    import importlib

    parser = Parser(
        prog="litehrnet",
        description="Lite-HRNet, from a checkpoint to the device.",
        epilog="litehrnet COMMAND --help explains a command and gives examples.",
    )
    parser.add_argument("--version", action="version", version=f"litehrnet {__version__}")
    parser.add_argument("--print-completion", action=_Completion, metavar="SHELL", help="print a script that "
                        "adds TAB completion to bash, zsh or tcsh (needs the package shtab)")  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f".{name}", __package__)
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=textwrap.dedent(f"    {module.run.__doc__}").strip(),
            epilog=f"examples:\n{textwrap.indent(textwrap.dedent(module.EXAMPLES).strip(), '  ')}",
        )
        module.add_options(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


class _Completion(argparse.Action):
    """Print a shell's completion script, which shtab makes from the parser."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: Any, option: Any = None) -> None:
        from ..checks import require

        shtab = require("shtab")
        if values not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(map(repr, shtab.SUPPORTED_SHELLS))
            parser.error(f"argument {option}: invalid choice: {values!r} (choose from {known})")
        _complete_files(parser, shtab.FILE)
        print(shtab.complete(parser, values))
        parser.exit()


def _complete_files(parser: argparse.ArgumentParser, how: object) -> None:
    """Tell shtab which words are file names."""
    for action in parser._actions:
        if action.type is file or action.dest in _FILES:
            action.complete = how  # type: ignore[attr-defined]
        if isinstance(action.choices, dict):  # commands
            for command in action.choices.values():
                _complete_files(command, how)


# ---------------------------------------------------------------------- types of options


def size(text: str) -> tuple[int, int]:
    """HxW, also with ×, * or a comma. Whether the network runs at this size is for the command to find out."""
    from ..sizes import parse_size  # which brings numpy

    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def box(text: str) -> tuple[float, ...]:
    """X,Y,W,H."""
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,width,height in pixels, such as 80,20,200,400")
    return values


def add_pairing(parser: argparse.ArgumentParser) -> None:
    """Declare how files are timed in turn: threads, sessions and rounds."""
    add = parser.add_argument
    add("--threads", type=threads, default=1, metavar="N", help="default: 1")
    add("--sessions", type=count, default=6, metavar="N", help="how many times each file is "
        "loaded; fewer than 6 give no 95 %% interval (default: 6)")  # fmt: skip
    add("--rounds", type=count, default=10, metavar="N", help="how many times each file runs after every "
        "load (default: 10)")  # fmt: skip


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare where to compute."""
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what ONNX Runtime or torch computes on "
        "(tensorrt: ONNX Runtime only); an error if it cannot run the model there (default: cpu)")  # fmt: skip


def interpreter(text: str) -> tuple[str, str]:
    """RUNTIME=PYTHON."""
    runtime, separator, python = text.partition("=")
    if not separator or not python:
        raise argparse.ArgumentTypeError(f"{text!r} is not RUNTIME=PYTHON, such as mnn=mnn-env/bin/python")
    if runtime not in RUNTIMES:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not begin with a runtime (choose from {', '.join(RUNTIMES)})"
            f"{did_you_mean(runtime, RUNTIMES)}"
        )
    return runtime, python


def count(text: str) -> int:
    """A number of things, from 1 to a billion."""
    if not re.fullmatch(r"[0-9]{1,100}", text.strip()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    if int(text) > LARGEST_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} is too large; the largest is {LARGEST_COUNT}")
    return int(text)


def threads(text: str) -> int:
    """A number of threads that the machine can take."""
    from ..checks import check_threads

    try:
        return check_threads(count(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def finite(text: str) -> float:
    """Any number but NaN and infinity."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def tolerance(text: str) -> float:
    """A relative difference, above 0 and below 1."""
    value = finite(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a relative difference between 0 and 1, such as 1e-4")
    return value


def fps(text: str) -> float:
    """30 or 30fps."""
    return _with_unit(text, "fps", "images per second, such as 30fps")


def points(text: str) -> float:
    """1 or 1oks, points of OKS; the value is the fraction, 0.01."""
    return _with_unit(text, "oks", "points of OKS, such as 1oks") / 100


def _with_unit(text: str, unit: str, what: str) -> float:
    match = re.fullmatch(rf"\s*([0-9]{{1,9}}(?:\.[0-9]+)?|\.[0-9]+)\s*(?:{unit})?\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {what}")
    return float(match[1])


def file(text: str) -> Path:
    """A file's name; whether there is such a file is for the command to find out."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("the file name is empty" if not text else f"{text!r} is not a file name")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text):
        raise argparse.ArgumentTypeError(f"{text!r} is a web address; download the file and give its name")
    return Path(text)


class Deprecated(argparse.Action):
    """An option's old name, which sets the new one and says so."""

    def __init__(self, option_strings: Sequence[str], dest: str, new: str, value: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help=argparse.SUPPRESS, default=argparse.SUPPRESS, **options)
        self.new, self.value = new, value

    def __call__(self, parser: object, namespace: object, values: object, option: str | None = None) -> None:
        print(f"note: {option} is the old name of {self.new} {self.value}", file=sys.stderr)
        setattr(namespace, self.dest, self.value)
