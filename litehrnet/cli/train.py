"""`litehrnet train`: from labelled pictures to weights."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import parser as types

if TYPE_CHECKING:
    from ..train.fit import Plan

FEW = 50  # people: in notebook 10, the 95 % interval of a mean OKS over 47 is 0.13 wide
HELP = "train on labelled pictures, from bundled, public or your own weights"
EXAMPLES = """
    litehrnet train people.json --images photos -o run               # start from the bundled weights
    litehrnet train people.json --images photos -o run --start my.pth --size 384x288 --epochs 50
    litehrnet train people.json --images photos -o run --resume      # go on after Ctrl-C
    litehrnet train train.json --images photos -o run --validate val.json --start none --model litehrnet30
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("data", type=types.file, metavar="DATA", help="labelled people: a JSON file in COCO's keypoint form")
    add("--images", type=types.file, metavar="FOLDER", help="the folder with the pictures that DATA names")
    add("-o", "--output", type=types.file, required=True, metavar="FOLDER", help="a folder for the weights, the state, "
        "the log and the curve")  # fmt: skip
    add(
        "--validate", type=types.file, metavar="FILE", help="measure on these people (default: a fifth of the pictures)"
    )
    add("--validate-images", type=types.file, metavar="FOLDER", help="their pictures (default: those of --images)")
    add("--start", default="litehrnet18", metavar="WEIGHTS", help=f"the weights to start from: {types.CHECKPOINT}, or "
        "none for random ones; joints that they do not know get a new head (default: litehrnet18)")  # fmt: skip
    add("--model", metavar="VARIANT", help="the network, with --start none (default: litehrnet18)")
    add("--joints", metavar="JOINTS", help="names, mirror pairs and sigmas of the joints: a JSON file, or the "
        "name of a public set (default: those of DATA)")  # fmt: skip
    add("--size", type=types.size, metavar="HxW", help="input size (default: the one that the start was trained at)")
    add("--epochs", type=types.count, metavar="N", help="how many times each person is seen (default: depends on the "
        "number of people)")  # fmt: skip
    add("--batch", type=types.count, metavar="N", help="crops per step (default: depends on the number of people)")
    add("--lr", type=types.positive, metavar="X", help="learning rate after the warm-up")
    add("--loss", choices=("mse", "softmax", "both"), help="default: both")
    add("--seed", type=types.count, metavar="N", help="seed of everything random: which pictures are held out, their "
        "order, and how crops vary (default: 1)")  # fmt: skip
    add("--milestones", type=types.count, default=20, metavar="N", help="how often to measure and save (default: 20)")
    add("--device", metavar="DEVICE", help="cpu or cuda (default: cuda if there is a GPU)")
    add(
        "--precision",
        choices=types.PRECISIONS,
        help="what the network computes in (default: mixed precision on a GPU)",
    )
    add("--workers", type=types.count, metavar="N", help="processes that cut crops (default: depends on the device)")
    add("--stop-at", type=types.count, metavar="N", help="stop after N crops; --resume continues later")
    add(
        "--resume", action="store_true", help="continue the run in the folder; the result is the same as without a stop"
    )


def run(args: argparse.Namespace) -> int:
    """Train on labelled people, described by a JSON file in COCO's keypoint form and a folder of pictures.

    The starting weights are measured first, and best.safetensors in the folder is never worse than they are;
    last.safetensors holds the weights of the last milestone. Bad data is listed before the first step. Standard output
    gets one line of JSON per milestone. Ctrl-C saves everything, and --resume continues to the same result. Several
    processes or GPUs can share every batch:
    torchrun --nproc-per-node 2 -m litehrnet train ...
    """
    import os

    from ..checkpoints.joints import find_joints
    from ..checks import check_choice
    from ..train.folder import check_folder
    from .signals import Stopped

    if args.validate_images is not None and args.validate is None:
        raise ValueError("--validate-images holds the pictures of other people to measure on: add --validate FILE")
    check_folder(args.output, args.resume)

    from ..model import VARIANTS  # torch, which takes seconds
    from ..train.fit import Interrupted, train

    first = os.environ.get("RANK", "0") == "0"
    scratch = args.start == "none" and not Path("none").exists()
    if args.model is not None:
        check_choice("variant", args.model, VARIANTS)
        if not scratch:
            raise ValueError("--model is for random weights (--start none); other weights say which network they hold")
    reporter = _Reporter(first)
    given = {name: getattr(args, name) for name in ("batch", "lr", "loss", "seed", "model") if getattr(args, name)}
    try:
        with _notes(first):
            done = train(
                args.data,
                args.output,
                images=args.images,
                validate=args.validate,
                validate_images=args.validate_images,
                start=None if scratch else _start(args.start),
                joints=find_joints(args.joints) if args.joints else None,
                size=args.size,
                epochs=args.epochs,
                device=args.device,
                precision=args.precision,
                workers=args.workers,
                milestones=args.milestones,
                resume=args.resume,
                stop_at=args.stop_at,
                events=reporter,
                **given,
            )
    except Interrupted as stopped:
        reporter.close()
        if first:
            print(f"note: {stopped}; the same command with --resume continues", file=sys.stderr)
        raise Stopped(stopped.number) from stopped
    except FloatingPointError as error:
        raise ValueError(str(error)) from error
    finally:
        reporter.close()
    if first:
        old, new = done.start["oks"], done.score["oks"]
        print(f"mean OKS on the validation people: {old:.4f} at the start, {new:.4f} at best, after "
              f"{done.score['crops']} crops", file=sys.stderr)  # fmt: skip
        if reporter.measured_on < FEW and done.score is not done.history[-1]:
            many = "1 person is" if reporter.measured_on == 1 else f"{reporter.measured_on} people are"
            reached = f"{done.history[-1]['oks']:.4f}"
            print(f"note: {many} too few to choose by: on others, the weights of the last milestone (here OKS "
                  f"{reached}) may be better; they are in {done.last}", file=sys.stderr)  # fmt: skip
        print(done.best, file=sys.stderr)
    return 0


def _start(weights: str) -> str | Path:
    """The name of weights, or their file."""
    from ..checkpoints import BUNDLED, PUBLIC
    from .models import model_file

    known = weights in (*BUNDLED, *PUBLIC) and not Path(weights).is_file()
    return weights if known else model_file(weights)


@contextlib.contextmanager
def _notes(shown: bool) -> Iterator[None]:
    """Print notes about loading as lines."""
    from ..checkpoints import CheckpointNote
    from .terminal import say

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if shown:
            say(f"{'note' if issubclass(category, CheckpointNote) else 'warning'}: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointNote)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


class _Reporter:
    """Prints what happens: a plan, a bar with the time that is left, and a line of JSON per milestone."""

    def __init__(self, first: bool) -> None:
        from .terminal import spinner

        self._bar: Any = None
        self._crops = self._before = self.measured_on = 0
        self._began = 0.0
        self._reading = contextlib.ExitStack()
        if first:
            self._reading.enter_context(spinner("reading the people and the weights"))

    def planned(self, plan: Plan) -> None:
        """Print the problems of the data and what the run computes; start the bar."""
        from ..people import problem_table

        self._reading.close()
        if plan.problems:
            print(problem_table(plan.problems), file=sys.stderr)
        recipe = plan.recipe
        print(
            f"training on {plan.people} people in {plan.pictures} pictures, measuring on {plan.validation} in "
            f"{plan.validation_pictures}; {recipe.crops} crops of {recipe.size[0]}x{recipe.size[1]} in "
            f"steps of {recipe.batch}, learning rate {recipe.lr:.2g}, {recipe.precision} on {plan.device}",
            file=sys.stderr,
        )
        if find_spec("matplotlib") is None:
            print("note: no curve will be drawn: matplotlib is not installed; install it with: pip install matplotlib",
                  file=sys.stderr)  # fmt: skip
        self._crops, self._before, self.measured_on = recipe.crops, plan.seen, plan.validation
        self._began = time.monotonic()
        if sys.stderr is not None and sys.stderr.isatty():
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                self._bar = tqdm(total=recipe.crops, initial=plan.seen, unit="crop", file=sys.stderr)

    def stepped(self, seen: int, loss: float) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            self._bar.update(seen - self._bar.n)

    def measured(self, line: dict[str, Any]) -> None:
        """Print a milestone, with the seconds that are left: at the pace of this process, measuring included."""
        seen = line["crops"]
        done, rest = seen - self._before, max(0, self._crops - seen)
        left = round((time.monotonic() - self._began) / done * rest, 1) if done else None
        if self._bar is not None:
            self._bar.clear()
        shown = {key: float(f"{value:.4g}") if isinstance(value, float) else value for key, value in line.items()}
        print(json.dumps({**shown, "seconds": line["seconds"], "seconds_left": left}), flush=True)

    def close(self) -> None:
        """End the bar."""
        self._reading.close()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
