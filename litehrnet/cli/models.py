"""From a model as it is named on the command line, a file or the name of weights, to a module or a function."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..checkpoints import JointSet
    from ..model import LiteHRNet
    from ..runtimes.loading import Run

__all__ = ["Runner", "given_joints", "joints_in", "joints_of", "load_model", "model_file", "runner"]


def load_model(weights: str, variant: str | None = None) -> LiteHRNet:
    """Load the model from a file or by the name of its weights; if `variant` is given, it must be that one.

    Raises:
        FileNotFoundError, ValueError: neither a file nor a known name, or weights of another variant.
    """
    from .terminal import spinner

    with spinner(f"loading {weights}"):  # torch, too
        from ..checkpoints import BUNDLED, PUBLIC, from_checkpoint, load_pretrained
        from ..checks import check_choice
        from ..files import existing_file
        from ..model import VARIANTS

        if variant is not None:
            check_choice("variant", variant, VARIANTS)
        if weights in (*BUNDLED, *PUBLIC) and not Path(weights).is_file():
            with _notes_on_stderr():
                model = load_pretrained(weights)
        elif _looks_like_a_name(weights):
            raise _unknown_name(weights)
        else:
            with _notes_on_stderr():
                model = from_checkpoint(existing_file(weights))
    if variant is not None and model.variant.name != variant:
        raise ValueError(f"{weights} holds {model.variant.name}, not {variant}")
    return model


def model_file(model: str) -> Path:
    """The file behind a word on the command line: the word itself, or the file of the weights with this name.

    Raises:
        FileNotFoundError, ValueError: neither a file nor a known name.
        ConnectionError: public weights that cannot be fetched.
    """
    from ..files import data_path, existing_file

    if _looks_like_a_name(model):
        from ..checkpoints import BUNDLED, PUBLIC
        from ..checkpoints.public import fetch

        if model in BUNDLED:
            return data_path(BUNDLED[model])
        if model in PUBLIC:
            return fetch(PUBLIC[model])
        raise _unknown_name(model)
    return existing_file(model)


def _unknown_name(weights: str) -> ValueError:
    from ..checkpoints import BUNDLED, PUBLIC
    from .parser import did_you_mean

    names = (*BUNDLED, *PUBLIC)
    return ValueError(
        f"no file and no known weights are named {weights!r}; known weights are {', '.join(names)}"
        f"{did_you_mean(weights, names)}"
    )


@contextlib.contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Print notes about loading, such as that averaged weights were taken, as lines instead of warnings."""
    from ..checkpoints import CheckpointNote
    from .terminal import say

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointNote)
        yield
    for warning in caught:
        if issubclass(warning.category, CheckpointNote):
            say(f"note: {warning.message}")
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _looks_like_a_name(weights: str) -> bool:
    """Whether this word was meant as a name rather than a file."""
    return (
        weights not in ("", "-")
        and not Path(weights).suffix
        and Path(weights).name == weights
        and not Path(weights).exists()
    )


def joints_of(known: JointSet | None, count: int, given: str | None = None) -> JointSet:
    """Names and bones for `count` heatmaps.

    Args:
        known: the joints that the model or its file describes.
        count: how many heatmaps the model returns.
        given: what the user gave instead: a key of `JOINT_SETS`, or a JSON file.

    Returns:
        The set that was given, else the known one, else `named_joints`.

    Raises:
        ValueError: `given` describes no joints, or another number of them.
    """
    from ..checkpoints.joints import named_joints

    if given is not None:
        known = given_joints(given)
        if len(known) != count:
            raise ValueError(f"--joints {given} names {len(known)} joints, and the model has {count}")
    return named_joints(count, known)


def given_joints(given: str) -> JointSet:
    """The joints that the word after `--joints` describes: a key of `JOINT_SETS`, or a JSON file.

    Raises:
        FileNotFoundError, ValueError: there is no such set and no such file, or the file describes no joints.
    """
    from ..checkpoints.joints import JOINT_SETS, find_joints
    from ..files import existing_file

    if given in JOINT_SETS and not Path(given).exists():
        return JOINT_SETS[given]
    return find_joints(existing_file(given) if Path(given).suffix or Path(given).exists() else given)


class Runner(NamedTuple):
    """A model that is ready to run on arrays.

    Attributes:
        run: images (N, 3, H, W) to heatmaps.
        size: height and width to crop for.
        joints: the joints that the model or its file describes, if it does.
    """

    run: Run
    size: tuple[int, int]
    joints: JointSet | None


def runner(
    model: str,
    size: tuple[int, int] | None,
    precision: str = "float32",
    runtime: str | None = None,
    threads: int = 1,
    device: str | None = None,
) -> Runner:
    """The model from a file or by the name of its weights, as a function of arrays; `runtime` None: inferred from it.

    Raises:
        ValueError, OSError, ImportError: as `litehrnet.runtimes.load`.
    """
    from ..files import existing_file
    from ..runtimes.loading import load, runtime_of
    from ..sizes import check_size
    from .terminal import spinner

    size = None if size is None else check_size(size)
    if not _looks_like_a_name(model):
        existing_file(model)
    runtime = runtime or runtime_of(model)
    if runtime == "torch":
        network = load_model(model)
        run = load(network, runtime, threads, precision, device=device)
        return Runner(run, size or run.size, network.joints)
    with spinner(f"loading {model}"):
        run = load(model, runtime, threads, precision, size if runtime == "ncnn" else None, device)
    return Runner(run, size or run.size, joints_in(run))


def joints_in(run: Run) -> JointSet | None:
    """The joints that an exported file describes, or None.

    Raises:
        ValueError: its description is not one of joints; the message names the file.
    """
    from ..checkpoints.joints import JointSet

    if run.signature is None or "joint_set" not in run.signature.metadata:
        return None
    try:
        return JointSet.from_dict(run.signature.metadata["joint_set"])
    except ValueError as error:
        raise ValueError(f"{run.signature.name} describes its joints wrongly: {error}") from error
