"""Proof that an exported file computes what torch computes, at batches and sizes that were not traced.

torch is imported when a model is run in it, not before.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..checks import check_whole
from ..sizes import check_memory, check_size
from .loading import open_for_proof
from .session import Session, check_maps, check_taken, example_images
from .signature import JOINTS, KINDS, SCORES, Signature, kind_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    Arrays = np.ndarray | Tensor | tuple[np.ndarray | Tensor, ...]

T = TypeVar("T")

__all__ = [
    "TOLERANCES",
    "Parity",
    "check_parity",
    "check_reference",
    "compare",
    "default_batches",
    "default_sizes",
    "explain",
    "heatmaps_of",
    "tolerance_for",
    "weights_of",
]

# Relative. Float32 in another order of additions gives about 1e-6, weights rounded to float16 1e-3 to 6e-3.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2}
TOLERANCE = TOLERANCES["float32"]
OTHER_SIZES = ((96, 160), (256, 192), (64, 224))  # wide and tall; tried beside the traced size, if sizes are free
SEED = 0
REACH = 1e-2  # relative; more than that is never rounding of float32
SPARE = 10  # a tolerance that follows from measured rounding is this many times as large
EPSILON = 2.0**-24  # the largest relative error of rounding to float32
ALIKE = 1e-3  # of the largest value: what is left of a difference that a common factor explains


@dataclass(frozen=True)
class Parity:
    """How far apart a file and torch are on one input.

    Attributes:
        size: (height, width) of the input; for inputs of your own the sides of the first one, after batch and channels.
        batch: images in the input.
        max_abs: largest absolute difference of the heatmaps.
        max_rel: the same over the largest absolute value of torch's heatmaps.
        same_peaks: every heatmap has its peak at the same pixel.
        ok: `max_rel` is within the tolerance; and where the file's heatmap peaks, torch's value equals torch's own
            peak, within the same tolerance.
        output: the name of the file's output that was compared; of several the one that differs most.
        tolerance: the greatest `max_rel` that counts as equal.
        per_joint: the largest absolute difference of every joint (channel), over the same value as `max_rel`.
        factor: where the difference is nothing but a common factor, the file's values over torch's; otherwise None.
        rounding: how far torch's own float32 is from float64, relative to the largest value; measured only where the
            file is further away than the usual tolerance, otherwise None.
    """

    size: tuple[int, ...]
    batch: int
    max_abs: float
    max_rel: float
    same_peaks: bool
    ok: bool
    output: str = field(default="", repr=False)
    tolerance: float = field(default=TOLERANCE, repr=False)
    per_joint: tuple[float, ...] = field(default=(), repr=False)
    factor: float | None = field(default=None, repr=False)
    rounding: float | None = field(default=None, repr=False)

    @property
    def different_joints(self) -> tuple[int, ...]:
        """The joints (channels) that are further apart than the tolerance allows."""
        return tuple(joint for joint, error in enumerate(self.per_joint) if not error <= self.tolerance)


def explain(row: Parity, names: Sequence[str] | None = None) -> str:
    """One sentence about what differs: which joints, and whether all are scaled alike.

    Args:
        row: a comparison.
        names: one per joint; by default they are numbered.

    >>> explain(Parity((64, 32), 1, 0.5, 0.5, True, False, per_joint=(0.5, 1e-6, 0.2, 0.0), tolerance=1e-4))
    'joints 0 and 2 of 4 differ, joint 0 the most; the others agree'
    """
    wrong, count = row.different_joints, len(row.per_joint)
    if row.ok:
        return f"all {count} joints agree"
    if row.factor is not None:
        return f"all joints are {row.factor:.4g} times torch's values: the same heatmaps on another scale"
    if not np.isfinite(row.max_rel):
        return "some values are not finite (NaN or infinity)"
    if not wrong:
        return "the values agree, and some peaks are at other pixels, where torch's values are lower"
    named = names is not None and len(names) == count
    called = list(names) if names is not None and named else [f"joint {joint}" for joint in range(count)]
    most = called[max(wrong, key=lambda joint: row.per_joint[joint])]
    if len(wrong) == count:
        return f"all {count} joints differ, {most} the most"
    right = [joint for joint in range(count) if joint not in wrong]
    if len(right) < len(wrong):
        return (
            f"{len(wrong)} of {count} joints differ, {most} the most; "
            f"only {_listed(called, right, named)} agree{'s' if len(right) == 1 else ''}"
        )
    verb = "differs" if len(wrong) == 1 else f"differ, {most} the most"
    return f"{_listed(called, wrong, named)} of {count} {verb}; the others agree"


def _listed(called: Sequence[str], joints: Sequence[int], named: bool) -> str:
    """Several joints as one enumeration: "a, b and c", or "joints 0, 1 and 2"."""
    if len(joints) == 1:
        return called[joints[0]]
    words = [called[joint] if named else str(joint) for joint in joints]
    return f"{'' if named else 'joints '}{', '.join(words[:-1])} and {words[-1]}"


def check_parity(
    model: nn.Module,
    path: str | Path,
    sizes: Sequence[Sequence[int]] | None = None,
    batches: Sequence[int] | None = None,
    tolerance: float | None = None,
    *,
    runtime: str | None = None,
    device: str | None = None,
    inputs: Arrays | list[Arrays] | None = None,
) -> list[Parity]:
    """Run an exported file and the model in torch on the same inputs, and compare.

    A Lite-HRNet is compared on random images. Any other network is compared on the inputs that you give: then the file
    may have any number of inputs and outputs, of any rank.

    Very long or very large images, and some weights, leave more rounding in float32 than the usual tolerance allows, in
    torch as in the file. So where the two differ by a little more, and you gave no tolerance, torch computes again in
    float64. The tolerance is then ten times the distance of its own float32 from that, or ten times what adding up all
    pixels of a map one after the other may lose, as some runtimes do for a mean; at most 1e-2.

    Args:
        model: the network that the file was made from; it is not changed.
        path: a file of any format of `litehrnet.runtimes.RUNTIMES`, or a Core ML package, whose operators are computed
            in torch (`litehrnet.runtimes.coreml`); inputs and outputs may have any names.
        sizes: (height, width) pairs to try; None: the file's own size, or the traced size and others if it is free.
        batches: batch sizes to try; None: the file's own, or 1 and 3 if it is free.
        tolerance: greatest relative difference that still counts as equal, at least 0 and below 1. None: 1e-4, or 2e-2
            where most of the file's weights are stored as float16.
        runtime: what runs the file; None: inferred from the file.
        device: what the file runs on, as for `litehrnet.runtimes.load`; the model stays where its weights are.
        inputs: for networks other than Lite-HRNet: an array or a tensor, a tuple of them for several inputs, or a list
            of either, to be compared one after the other.

    Returns:
        One `Parity` for every size and batch, or for every entry of `inputs`.

    Raises:
        ValueError: a size, batch or input that the file does not take; no sizes, batches or inputs at all, which would
            prove nothing; a tolerance out of bounds; a model whose type is neither float32 nor float64; a file whose
            output has another shape than the model's; or one that computes something else, and whose metadata names
            another variant or number of joints.
        FileNotFoundError: there is no such file.
        ImportError: the runtime is not installed.
    """
    # Everything that needs no runtime comes first.
    check_reference(model)
    entries = None if inputs is None else _entries(inputs)
    if entries is not None and (sizes is not None or batches is not None):
        raise ValueError("give sizes and batches, or inputs of your own, not both")
    given = tolerance is not None
    sizes = None if sizes is None else _some("sizes", [check_size(size) for size in sizes])
    batches = None if batches is None else _some("batches", [check_whole("batch", batch) for batch in batches])
    tolerance = tolerance_for(path, tolerance)
    session = open_for_proof(path, runtime, device)
    signature = session.signature
    if signature is None:
        raise ValueError(f"{Path(path).name} is a checkpoint, not an exported file: there is nothing to prove")
    if entries is not None:
        return [_compare_own(model, session, entry, tolerance) for entry in entries]
    try:
        signature.check_image_network()
        sizes = sizes or default_sizes(signature)
    except ValueError as error:
        raise _not_ours(model, error) from error
    tried = [(size, batch) for size in sizes for batch in batches or default_batches(signature)]
    for size, batch in tried:  # before any image is made: they may be large
        check_taken(signature, (batch, 3, *size))
        check_memory(size, batch)
    generator = np.random.default_rng(SEED)
    results = []
    for size, batch in tried:
        images = example_images(signature, batch, size, generator)
        outputs = _run(session, [images])
        theirs = outputs[signature.output_index]
        check_maps(theirs, images.shape, signature.name)
        if signature.decoded:
            _check_decoded(signature, theirs, outputs)
        ours = heatmaps_of(model, images)
        if ours.shape != theirs.shape:
            _check_same_network(model, signature)
        row = compare(ours, theirs, size, tolerance, signature.output)
        if not row.ok and not given and row.max_rel <= REACH:
            row = _beside_rounding(model, images, ours, theirs, row)
        if not row.ok:
            _check_same_network(model, signature)
        results.append(row)
    return results


def _beside_rounding(model: nn.Module, images: np.ndarray, ours: np.ndarray, theirs: np.ndarray, row: Parity) -> Parity:
    """The comparison again, with a tolerance that follows from how much float32 rounds here."""
    exact = heatmaps_of(copy.deepcopy(model).double(), images)
    rounding = compare(exact, ours, row.size).max_rel
    mean = math.sqrt(math.prod(ours.shape[2:])) * EPSILON  # errors of random sign, one per pixel
    tolerance = max(row.tolerance, min(SPARE * max(rounding, mean), REACH))
    return replace(compare(ours, theirs, row.size, tolerance, row.output), rounding=rounding)


def _check_decoded(signature: Signature, heatmaps: np.ndarray, outputs: Sequence[np.ndarray]) -> None:
    """Refuse a file whose joints and scores are not exactly what its own heatmaps decode to."""
    from ..heatmaps import decode

    found = dict(zip((port.name for port in signature.outputs), outputs, strict=True))
    joints, scores = decode(heatmaps)
    apart = np.abs(found[JOINTS] - joints).max() if found[JOINTS].shape == joints.shape else math.inf
    if apart or not np.array_equal(found[SCORES], scores):
        raise ValueError(
            f"{signature.name} does not decode its heatmaps as litehrnet.heatmaps.decode does: {apart:g} pixels off"
        )


def _check_same_network(model: nn.Module, signature: Signature) -> None:
    """After a failed comparison, refuse a file whose metadata says that it holds another network.

    Raises:
        ValueError: its metadata names another variant or number of joints than the model has.
    """
    variant, joints = getattr(getattr(model, "variant", None), "name", None), getattr(model, "num_joints", None)
    held, held_joints = signature.metadata.get("variant"), signature.metadata.get("joints", signature.joints)
    if variant is None or held is None or (held, held_joints or joints) == (variant, joints):
        return
    counted = "" if held_joints is None else f" with {held_joints} joints"
    raise ValueError(f"{signature.name} holds {held}{counted}, and the model is {variant} with {joints} joints")


def tolerance_for(path: str | Path, tolerance: float | None = None) -> float:
    """The tolerance that was given, after a check; by default the one for the type of the file's weights."""
    if tolerance is None:
        return TOLERANCES.get(weights_of(path), TOLERANCE)
    if not isinstance(tolerance, int | float | np.number) or not 0 <= tolerance < 1:
        raise ValueError(f"the tolerance is a relative difference, at least 0 and below 1, got {tolerance!r}")
    return float(tolerance)


def weights_of(path: str | Path) -> str:
    """What an exported file stores its weights as, from the weights themselves: "float32", "float16" or "int8".

    Raises:
        FileNotFoundError, ValueError: as `litehrnet.runtimes.signature`.
    """
    kind = kind_of(path)
    if kind is None:
        return "float32"
    weights: str = importlib.import_module(f".{KINDS[kind].reader}", __package__).weights_of(Path(path))
    return weights


def check_reference(model: nn.Module) -> None:
    """Refuse a reference that is less exact than the file that it is meant to judge."""
    kinds = {str(value.dtype).removeprefix("torch.") for value in model.parameters() if value.is_floating_point()}
    wrong = kinds - {"float32", "float64"}
    if wrong:
        raise ValueError(
            f"the model computes in {', '.join(sorted(wrong))} and cannot judge a file; load its weights again in "
            "float32 (float() alone does not bring back what was rounded)"
        )


def _not_ours(model: nn.Module, error: ValueError) -> ValueError:
    """An error about a file, with what to do where the network may be another one than Lite-HRNet."""
    from ..model import LiteHRNet

    if any(isinstance(module, LiteHRNet) for module in model.modules()):
        return error
    kind = type(model).__name__
    return ValueError(f"{error}; if this {kind} is not a Lite-HRNet, give the inputs to compare on, as inputs=example")


def _some(what: str, values: list[T]) -> list[T]:
    """Refuse an empty list: `all()` of no comparisons is true."""
    if not values:
        raise ValueError(f"there are no {what} to compare at, which proves nothing")
    return values


def _run(session: Session, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run a file on arrays, each in the type that the file declares."""
    signature = session.signature
    assert signature is not None
    converted = [
        array.astype(port.dtype) if array.dtype.kind == "f" and port.dtype.startswith("float") else array
        for array, port in zip(arrays, signature.inputs, strict=True)
    ]
    return session.run(converted)


def _entries(inputs: Arrays | list[Arrays]) -> list[list[np.ndarray]]:
    entries = inputs if isinstance(inputs, list) else [inputs]
    if not entries:
        raise ValueError("there are no inputs to compare on, which proves nothing")
    return [[_array(value) for value in (entry if isinstance(entry, tuple) else (entry,))] for entry in entries]


def _array(value: object) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):
        array: np.ndarray = value.detach().cpu().numpy()
        return array
    raise ValueError(
        f"an input is an array or a tensor, or a tuple of them for several inputs; got {type(value).__name__}"
    )


def _compare_own(model: nn.Module, session: Session, arrays: list[np.ndarray], tolerance: float) -> Parity:
    """Compare all outputs on inputs of any kind; the result is that of the output that differs most."""
    from .pytorch import run_module

    signature = session.signature
    assert signature is not None
    if len(arrays) != len(signature.inputs):
        named = ", ".join(repr(port.name) for port in signature.inputs)
        raise ValueError(f"{signature.name} takes {len(signature.inputs)} inputs ({named}), got {len(arrays)}")
    for array, port in zip(arrays, signature.inputs, strict=True):
        wanted = port.shape
        fits = wanted is None or (
            len(wanted) == array.ndim
            and all(own is None or own == side for own, side in zip(wanted, array.shape, strict=True))
        )
        if not fits or not array.size:
            shape = "any shape" if wanted is None else tuple("any" if side is None else side for side in wanted)
            raise ValueError(f"{signature.name} takes {port.name!r} as {shape}, got {array.shape}")
    ours, theirs = run_module(model, arrays), _run(session, arrays)
    if len(ours) != len(theirs):
        raise ValueError(f"the module has {len(ours)} outputs, and {signature.name} has {len(theirs)}")
    size = tuple(arrays[0].shape[2:])
    rows = [
        compare(a, b, size, tolerance, port.name) for a, b, port in zip(ours, theirs, signature.outputs, strict=True)
    ]
    return max(rows, key=lambda row: (not row.ok, math.isnan(row.max_rel), row.max_rel))


def compare(
    ours: np.ndarray, theirs: np.ndarray, size: Sequence[int], tolerance: float = TOLERANCE, output: str = ""
) -> Parity:
    """Compare two stacks of heatmaps, (N, K, h, w) each, or two arrays of any other rank.

    Args:
        ours: what is right.
        theirs: what is judged.
        size: (height, width) of the input.
        tolerance: greatest relative difference that still counts as equal.
        output: the name of the file's output.

    Raises:
        ValueError: the shapes differ, or there are no values.
    """
    if ours.shape != theirs.shape:
        raise ValueError(
            f"the file gives {output or 'heatmaps'} of shape {theirs.shape} where torch gives {ours.shape}"
        )
    if not ours.size:
        raise ValueError(f"there is nothing to compare: the output has the shape {ours.shape}")
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    scale = max(float(np.abs(ours).max()), float(np.finfo(np.float32).tiny))
    rows = math.prod(ours.shape[:2]) if ours.ndim > 2 else math.prod(ours.shape[:-1])
    flat, other = ours.reshape(rows, -1), theirs.reshape(rows, -1)  # (N * K, h * w)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, which is not ok either
        apart = np.abs(flat - other)
        max_abs = float(apart.max())
        peaks, their_peaks = flat.argmax(1), other.argmax(1)
        every = np.arange(rows)
        fallen = float((flat[every, peaks] - flat[every, their_peaks]).max())
    finite = np.isfinite(scale)
    # Infinite heatmaps would excuse every difference.
    ok = finite and max_abs <= tolerance * scale and fallen <= tolerance * scale
    joints = apart.max(1).reshape(len(ours), -1).max(0) if ours.ndim > 2 else apart.max(0)
    return Parity(
        tuple(size),
        len(ours) if ours.ndim else 1,
        max_abs,
        max_abs / scale if finite else float("nan"),
        bool((peaks == their_peaks).all()),
        bool(ok),
        output,
        tolerance,
        tuple(float(joint) / scale for joint in joints) if finite else (),
        None if ok else _factor(flat, other, scale),
    )


def _factor(ours: np.ndarray, theirs: np.ndarray, scale: float) -> float | None:
    """The factor between two arrays that differ by nothing else; None if they differ otherwise."""
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    squares = float((ours * ours).sum())
    factor = float((ours * theirs).sum()) / squares if squares else 0.0
    rest = float(np.abs(theirs - factor * ours).max())
    return factor if factor and rest <= ALIKE * abs(factor) * scale else None


def heatmaps_of(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """What torch computes, in eval mode and without autocast; the model's own modes are restored."""
    from .pytorch import run_module

    outputs = run_module(model, [images])
    if len(outputs) != 1:
        raise ValueError(f"the model gives {len(outputs)} outputs, expected one stack of heatmaps")
    return outputs[0]


def default_sizes(signature: Signature) -> list[tuple[int, int]]:
    """The file's own size, or the traced one and others, wide and tall, where the file is free."""
    if signature.dynamic != "size":
        return [check_size(signature.size)]
    traced = [signature.size] if "size" in signature.metadata else []
    tried = [(signature.height or height, signature.width or width) for height, width in (*traced, *OTHER_SIZES)]
    return [check_size(size) for size in dict.fromkeys(tried)]


def default_batches(signature: Signature) -> list[int]:
    """The file's own batch, or where it is free 1 and 3, since free batches are exported with 2 images."""
    return [1, 3] if signature.batch is None else [signature.batch]
