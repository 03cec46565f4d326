"""`train`: from a keypoint file to weights, with everything that is needed around the loop."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol

import torch
from torch import distributed

from ..checkpoints import save_weights
from ..checkpoints.joints import JointSet
from ..checks import check_choice, check_whole
from ..files import written_whole
from ..model import LiteHRNet
from ..people import People, Problem, with_sigmas
from ..runtimes import PRECISIONS
from ..sizes import check_size
from .curve import plot_curve
from .folder import BEST, CURVE, LAST, RUN, check_folder
from .loop import Trainer
from .recipe import Recipe, suited
from .shards import open_people
from .start import start_model

__all__ = ["Events", "Interrupted", "Plan", "Trained", "split", "train"]

MILESTONES = 20
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
MOST_MEASURED = 500  # people at every milestone


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop; everything is saved.

    Attributes:
        number: of the signal.
        seen, crops: crops seen, and crops to see.
        folder: where to go on from.
    """

    def __init__(self, number: int, seen: int, crops: int, folder: Path) -> None:
        super().__init__(f"stopped after {seen} of {crops} crops; everything is saved in {folder}")
        self.number, self.seen, self.crops, self.folder = number, seen, crops, folder


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Attributes:
        best: the weights of the best milestone.
        last: the weights of the last milestone; where few people chose the best one, these may well be better.
        start: the log's line before the first step.
        score: the log's line of the best milestone.
        history: all lines.
        folder: where everything is.
    """

    best: Path
    last: Path
    start: dict[str, Any]
    score: dict[str, Any]
    history: list[dict[str, Any]]
    folder: Path


class Plan(NamedTuple):
    """What a run is going to do, known before its first step.

    Attributes:
        recipe: what it computes.
        people, pictures: how many to train on.
        validation, validation_pictures: how many to measure on.
        problems: what is wrong with the data.
        device: where it runs.
        seen: crops that an earlier part of the run has seen.
    """

    recipe: Recipe
    people: int
    pictures: int
    validation: int
    validation_pictures: int
    problems: Sequence[Problem]
    device: str
    seen: int


class Events(Protocol):
    """What a run calls as it proceeds; only the first process makes these calls."""

    def planned(self, plan: Plan) -> None:
        """Before the first step."""

    def stepped(self, seen: int, loss: float) -> None:
        """After every step."""

    def measured(self, line: dict[str, Any]) -> None:
        """After every milestone."""


class _Quiet:
    def planned(self, plan: Plan) -> None:
        pass

    def stepped(self, seen: int, loss: float) -> None:
        pass

    def measured(self, line: dict[str, Any]) -> None:
        pass


class _Subset:
    """A subset of the people."""

    def __init__(self, people: People, indices: Sequence[int]) -> None:
        self._indices = indices
        self.person = lambda index: people.person(indices[index])
        self.image = lambda index, scale=1.0: people.image(indices[index], scale)

    def __len__(self) -> int:
        return len(self._indices)


def split(people: People, share: float = 0.2, seed: int = 1) -> tuple[list[int], list[int]]:
    """Divide people into those to train on and those to measure on, by picture.

    A picture's place follows from its name and the seed alone, not from the order of the file; people of one picture
    stay together.

    Args:
        people: all of them.
        share: of the pictures, to measure on; at least one.
        seed: decides the division, together with the pictures' names.

    Raises:
        ValueError: there are not two pictures to divide.
    """
    pictures = sorted({people.person(index).picture for index in range(len(people))})
    if len(pictures) < 2:
        raise ValueError(
            "there is one picture only, and none is left to measure on; label another, or give validate=..."
        )
    ranked = sorted(pictures, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    held_out = set(ranked[: max(1, round(share * len(ranked)))])
    indices: tuple[list[int], list[int]] = ([], [])
    for index in range(len(people)):
        indices[people.person(index).picture in held_out].append(index)
    return indices


def train(
    data: str | Path,
    folder: str | Path,
    *,
    images: str | Path | None = None,
    validate: str | Path | None = None,
    validate_images: str | Path | None = None,
    start: str | Path | LiteHRNet | None = "litehrnet18",
    joints: JointSet | None = None,
    size: Sequence[int] | None = None,
    epochs: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    workers: int | None = None,
    milestones: int = MILESTONES,
    resume: bool = False,
    stop_at: int | None = None,
    events: Events | None = None,
    **recipe: Any,
) -> Trained:
    """Train on labelled people and keep the best weights.

    The folder gets `best.safetensors` (never worse on the validation people than the start), `last.safetensors` (the
    weights of the last milestone), `last.pt` (the state), `log.jsonl` (one line per milestone), `curve.png` and
    `run.json` (what the run computes). Under `torchrun`, every batch is shared by all processes; apart from rounding,
    the result does not depend on their number.

    Args:
        data: a keypoint file in COCO's form, or a folder of rendered shards.
        folder: for the results; made if it does not exist.
        images: the folder with the file's pictures.
        validate: another keypoint file (or folder of shards) to measure on; by default a fifth of the pictures.
        validate_images: its pictures; by default those in `images`.
        start: the weights to start with: a file, the name of bundled or public weights, or a model. None starts from
            random weights. With other joints than it has, the backbone is kept and the head is new.
        joints: which joints are labelled, by default those of the file.
        size: height and width of the crops; by default what the start was trained at, or 256x192.
        epochs: how many times each person is seen; the default depends on how many people there are.
        device: "cpu" or "cuda"; by default CUDA if there is a GPU.
        precision: "float32", or "bfloat16" or "float16" for mixed precision; by default mixed on CUDA.
        workers: processes that cut crops; the default depends on the device.
        milestones: how often to measure.
        resume: continue from the state in the folder; the result is the same as if the run had not been stopped.
        stop_at: stop after this many crops, to go on later.
        events: what to call as the run proceeds.
        recipe: other fields of `Recipe`, such as `lr`, `batch`, `seed` or `augmentation`.

    Raises:
        FileNotFoundError, NotADirectoryError, PermissionError, ValueError: the data, the start, the size or another
            argument is wrong; the folder holds a run, and `resume` is False; it holds a run with another recipe; or
            nothing can be written into it.
        FloatingPointError: the loss is not finite.
        Interrupted: Ctrl-C or SIGTERM; everything is saved, and `resume` goes on.

    Warns:
        CheckpointNote: the head, or a part of it, is new.
    """
    milestones = check_whole("milestones", milestones)
    if validate_images is not None and validate is None:
        raise ValueError("validate_images holds the pictures of validate=..., which is not given")
    folder = Path(folder)
    check_folder(folder, resume)
    people = open_people(data, images, joints)
    joint_set = with_sigmas(joints or people.joint_set)  # type: ignore[attr-defined]
    problems = list(people.problems)  # type: ignore[attr-defined]
    seed = check_whole("seed", recipe.get("seed", Recipe.seed), least=0)
    if validate is None:
        chosen, held_out = split(people, seed=seed)
        training, validation = _Subset(people, chosen), _Subset(people, held_out)
    else:
        other = open_people(validate, validate_images or (None if Path(validate).is_dir() else images), joint_set)
        problems += other.problems  # type: ignore[attr-defined]
        training, validation = _Subset(people, range(len(people))), _Subset(other, range(len(other)))
        shared = _pictures(training) & _pictures(validation)
        if shared and (validate_images is None or Path(validate_images) == Path(images or "")):
            problems.append(Problem("pictures both to train on and to measure on", len(shared), min(shared), True))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    rank, world, device = _join(device)
    trainer: Trainer | None = None
    try:
        model = start_model(start, joint_set, recipe.get("model", Recipe.model))
        size = check_size(model.trained_size or Recipe.size if size is None else size)
        made = suited(len(training), size, from_scratch=start is None, epochs=epochs)
        made |= {"model": model.variant.name, "precision": _precision(precision, device)}
        made |= {name: value for name, value in recipe.items() if value is not None}
        if made["batch"] > len(training):
            raise ValueError(f"a batch of {made['batch']} is more than the {len(training)} people to train on")
        folder.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(
            Recipe(**made),
            model,
            folder,
            training,
            joint_set,
            device=device,
            rank=rank,
            world=world,
            workers=_workers(device, world) if workers is None else workers,
        )
        if resume:
            trainer.resume()
        listener: Events = _Quiet() if events is None or rank else events
        counts = len(training), len(_pictures(training)), len(validation), len(_pictures(validation))
        listener.planned(Plan(trainer.recipe, *counts, problems, device, trainer.seen))
        _run(trainer, validation, milestones, stop_at, listener)
        histories = [trainer.history]
        if world > 1:
            distributed.broadcast_object_list(histories)  # only the first process measures
            distributed.barrier()  # none leaves while another still waits to hear from it
        (history,) = histories
    finally:
        if world > 1 and distributed.is_initialized():
            if trainer is not None:
                trainer.part()
            distributed.destroy_process_group()
    score = max(history, key=lambda line: line["oks"])
    return Trained(folder / BEST, folder / LAST, history[0], score, history, folder)


def _run(trainer: Trainer, validation: People, milestones: int, stop_at: int | None, events: Events) -> None:
    """Train to the end, with milestones on the way."""
    recipe = trainer.recipe
    steps = -(-recipe.crops // recipe.batch)
    every = max(1, steps // milestones)
    end = steps if stop_at is None else min(steps, -(-stop_at // recipe.batch))

    def milestone() -> None:
        if trainer.rank == 0:
            line = trainer.milestone(validation, MOST_MEASURED)
            metadata = {"crops": str(line["crops"]), "oks": f"{line['oks']:.4f}"}
            save_weights(trainer.average, trainer.folder / LAST, trained="yes", **metadata)
            with contextlib.suppress(ImportError):
                plot_curve(trainer.history, trainer.folder / CURVE)
            events.measured(line)

    if trainer.rank == 0:
        held = {**asdict(recipe), "milestones": milestones}
        with written_whole(trainer.folder / RUN) as temporary:
            temporary.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    with _signals() as received, _without_denormals():
        if trainer.step == 0 and not trainer.history:
            milestone()
        while trainer.step < end:
            loss, stop = trainer.train_step(received.number is not None)
            events.stepped(trainer.seen, loss)
            if (trainer.step % every == 0 and steps - trainer.step >= every) or trainer.step == steps:
                milestone()
            if stop and trainer.step < steps:
                trainer.save()
                raise Interrupted(received.number or signal.SIGINT, trainer.seen, recipe.crops, trainer.folder)
    if end < steps:
        trainer.save()


class _Received:
    """The signal that arrived during a run, if one did."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, Any] = {}

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal, so that the step can end; a second one acts at once, as it did before."""
        if self.number is None:
            self.number = number
            return
        handler: Callable | int | None = self.before[number]
        if callable(handler):
            handler(number, frame)
        raise KeyboardInterrupt


@contextlib.contextmanager
def _signals() -> Iterator[_Received]:
    """Inside the block, Ctrl-C and SIGTERM are remembered instead of ending the run in the middle of a step."""
    received = _Received()
    if threading.current_thread() is threading.main_thread():
        for number in (int(getattr(signal, name)) for name in STOPS if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                received.before[number] = signal.signal(number, received.handle)
    try:
        yield received
    finally:
        for number, handler in received.before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _without_denormals() -> Iterator[None]:
    """Numbers below 1e-38 become 0: training makes many, and a processor is a hundred times slower with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _join(device: str) -> tuple[int, int, str]:
    """This process's number, how many there are, and its device; under `torchrun` they meet here."""
    world = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    if world == 1:
        _check_device(device)
        return 0, 1, device
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        _check_device(device)
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return distributed.get_rank(), distributed.get_world_size(), device


def _check_device(device: str) -> None:
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        raise ValueError(f"unknown device {device!r}; choose cpu or cuda")
    if device.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        number = int(device.partition(":")[2] or 0)
        if number >= count:
            raise ValueError(f"there is no {device} here: torch sees {count} GPUs; use device='cpu'")


def _precision(precision: str | None, device: str) -> str:
    if precision is None:
        if not device.startswith("cuda"):
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    check_choice("precision", precision, PRECISIONS)
    if precision == "float16" and device == "cpu":
        raise ValueError("on a CPU, training computes in float32 or bfloat16, not in float16")
    return precision


def _workers(device: str, world: int) -> int:
    """On a GPU, cutting crops takes longer than a step does; on a CPU, both would fight for the same cores."""
    return 0 if device == "cpu" else max(1, min(16, (os.cpu_count() or 2) // world - 1))


def _pictures(people: People) -> set[str]:
    return {people.person(index).picture for index in range(len(people))}
