"""Why an exported file does not compute what torch computes: common causes are tried until one makes the two agree.

Two families of causes are tried, in every combination. One is what the file expects as its input: the order and scale
of the colours, how much of the normalisation is done outside it, and where the channels are. The other is what it was
made from: another fuse step. The order of the joints, rounding to 16 bits and other sizes follow. If nothing helps, the
weights in the file are examined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import first_line
from ..files import data_path
from ..heatmaps import MEAN, STD, crop_person, read_image
from ..sizes import check_size
from .graph import depthwise_filters as onnx_filters
from .loading import open_for_proof
from .openvino import depthwise_filters as openvino_filters
from .parity import TOLERANCES, Parity, check_reference, compare, default_sizes, heatmaps_of, tolerance_for
from .session import Session
from .signature import DEFAULT_SIZE, Signature

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Diagnosis", "diagnose"]

_PHOTO, _BOX = "astronaut.jpg", (0.0, 0.0, 512.0, 512.0)
_SAMPLES = 16  # pixels of each heatmap that are compared to find out which joint is which
_SAME_FILTER = 0.9995  # two 3x3 filters with at least this cosine are the same one, up to a factor
_COLOURS = (3, 1, 1)


@dataclass(frozen=True)
class Diagnosis:
    """What makes a file agree with torch, or how far it is from doing so.

    Attributes:
        causes: what is different about the file, one phrase each; none if the two agree as they are.
        matches: whether these causes explain the difference.
        parity: the comparison with these causes taken into account: of all that were tried, the nearest.
        tried: how many combinations were compared.
        notes: what the weights in the file say, where nothing matches; one sentence each.
    """

    causes: tuple[str, ...]
    matches: bool
    parity: Parity | None
    tried: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One sentence, or several."""
        far = "" if self.parity is None else f"relative difference {self.parity.max_rel:.1e}"
        causes = " and ".join(self.causes)
        if self.matches:
            text = f"{causes}: then it matches ({far})" if causes else f"it matches as it is ({far})"
        elif self.parity is None:
            text = causes or "nothing could be compared"
        else:
            nearest = f"the nearest is that {causes}" if causes else "the file as it is comes nearest"
            text = f"none of {self.tried} combinations of common causes makes it match; {nearest} ({far})"
        return "; ".join((text, *self.notes))


@dataclass(frozen=True)
class _Feeding:
    """A way in which a file may want its image.

    Attributes:
        words: what is special about the file; empty for the usual way.
        prepare: from (N, 3, H, W) RGB on the scale 0..255 to what the file wants, with channels first.
    """

    words: str
    prepare: Callable[[np.ndarray], np.ndarray]


_MEAN, _STD = (np.array(values, np.float32).reshape(_COLOURS) for values in (MEAN, STD))
_SCALES = (
    _Feeding("", lambda raw: (raw - _MEAN) / _STD),
    _Feeding("takes the scale 0..255, with mean and deviation inside the file", lambda raw: raw),
    _Feeding("takes the scale 0..1, with mean and deviation inside the file", lambda raw: raw / 255),
    _Feeding("takes the scale -1..1, with mean and deviation inside the file", lambda raw: raw / 127.5 - 1),
    _Feeding("divides by the deviation inside the file, and takes 0..255 less the mean", lambda raw: raw - _MEAN),
    _Feeding("divides by the deviation inside the file, and takes 0..1 less the mean", lambda raw: (raw - _MEAN) / 255),
    _Feeding("subtracts the mean inside the file, and takes 0..255 over the deviation", lambda raw: raw / _STD),
)


def _reversed(scale: _Feeding, raw: np.ndarray) -> np.ndarray:
    """BGR, prepared as RGB is at this scale; (N, 3, H, W)."""
    return scale.prepare(raw)[:, ::-1]


def _feedings() -> Iterator[_Feeding]:
    """The simplest explanations first; BGR both before and after the normalisation."""
    yield from _SCALES
    for scale in _SCALES:
        words = " and ".join(filter(None, ("takes BGR", scale.words)))
        yield _Feeding(words, partial(_reversed, scale))
    usual = _SCALES[0]
    yield _Feeding("takes BGR, normalised with the numbers of RGB", lambda raw: usual.prepare(raw[:, ::-1]))


def diagnose(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None = None,
    tolerance: float | None = None,
    *,
    runtime: str | None = None,
) -> Diagnosis:
    """Find out why a file does not compute what the model computes in torch.

    The image is a photograph, so that the heatmaps are those of a real person.

    Args:
        model: the Lite-HRNet that the file should compute; it is not changed.
        path: a file of any format of `litehrnet.runtimes.RUNTIMES`.
        size: (height, width) to compare at; None: the file's own.
        tolerance: greatest relative difference that counts as equal; None: as in `check_parity`, by the type of the
            file's weights.
        runtime: what runs the file; None: inferred from the file.

    Returns:
        The first combination of causes that makes the two agree, or the nearest of all.

    Raises:
        ValueError: the file is a checkpoint, has several inputs or does not run, or the size is not one that it takes.
        FileNotFoundError, ImportError: as `check_parity`.
    """
    check_reference(model)
    tolerance = tolerance_for(path, tolerance)
    session = open_for_proof(path, runtime)
    signature = session.signature
    if signature is None:
        raise ValueError(f"{Path(path).name} is a checkpoint, not an exported file: there is nothing to diagnose")
    last = _channels_last(signature)
    if not last:
        signature.check_image_network()
    size = _size(signature, last, size)
    batch = signature.batch or 1
    raw = _photograph(size, batch)
    found = _search(model, session, raw, last, tolerance)
    if found.matches:
        return found
    if not last and signature.dynamic == "size":
        found = _other_sizes(model, session, size, tolerance) or found
    if found.matches:
        return found
    return dataclasses.replace(found, notes=tuple(_of_weights(model, Path(path), signature.kind)))


def _channels_last(signature: Signature) -> bool:
    shape = signature.inputs[0].shape if len(signature.inputs) == 1 else None
    return shape is not None and len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def _size(signature: Signature, last: bool, size: Sequence[int] | None) -> tuple[int, int]:
    shape = signature.inputs[0].shape
    own = tuple(shape[1:3] if last else shape[2:4]) if shape is not None else (None, None)
    usual = DEFAULT_SIZE if last else signature.size
    wanted = check_size(size if size is not None else (own[0] or usual[0], own[1] or usual[1]))
    for name, side, fixed in zip(("height", "width"), wanted, own, strict=True):
        if fixed is not None and fixed != side:
            raise ValueError(f"{signature.name} takes {name} {fixed} only, got {side}")
    return wanted


def _photograph(size: tuple[int, int], batch: int) -> np.ndarray:
    """A person, (N, 3, H, W) float32, whole numbers from 0 to 255; every image of the batch is shifted."""
    crop, _ = crop_person(read_image(data_path(_PHOTO)), _BOX, size, padding=1.0)
    images = np.stack([np.roll(crop, 3 * k, axis=1) for k in range(batch)])  # (N, H, W, 3)
    return images.transpose(0, 3, 1, 2).astype(np.float32)


def _search(model: nn.Module, session: Session, raw: np.ndarray, last: bool, tolerance: float) -> Diagnosis:
    """Compare every way to feed the file with every way to change the model; stop at the first that agrees."""
    signature = session.signature
    assert signature is not None
    size, usual = raw.shape[2:], _SCALES[0].prepare(raw)
    layout = ("takes channels last",) if last else ()
    answers: list[tuple[tuple[str, ...], np.ndarray]] = []
    nearest: tuple[tuple[str, ...], Parity] | None = None
    tried = 0
    for change, changed in _changes(model):
        expected = heatmaps_of(changed, usual)  # (N, K, h, w)
        if not answers:
            for feeding in _feedings():
                maps = _answer(session, feeding.prepare(raw), last)
                back, maps = _channels_first(maps, expected.shape)
                words = (*layout, *filter(None, (feeding.words, back)))
                answers.append((words, maps))
        for words, maps in answers:
            if maps.shape != expected.shape:
                said = f"it gives {signature.output!r} of shape {maps.shape}, where the model gives {expected.shape}"
                return Diagnosis((said,), False, None, 0)
            causes = (*words, *filter(None, (change,)))
            row = compare(expected, maps, size, tolerance, signature.output)
            tried += 1
            if not row.ok:
                order = _order(expected, maps, tolerance)
                if order is not None:
                    causes = (*causes, _order_in_words(order))
                    row = compare(expected[:, order], maps, size, tolerance, signature.output)
            if row.ok:
                return Diagnosis(_sentences(causes), True, row, tried)
            if row.factor is not None:
                return Diagnosis(_sentences((*causes, f"gives {row.factor:.4g} times the values")), True, row, tried)
            if nearest is None or not row.max_rel >= nearest[1].max_rel:
                nearest = causes, row
        assert nearest is not None  # there are feedings, so there are answers
        if nearest[1].max_rel <= TOLERANCES["float16"]:
            return Diagnosis(_sentences((*nearest[0], _COARSE)), True, nearest[1], tried)
    assert nearest is not None  # the model as it is comes first among the changes
    return Diagnosis(_sentences(nearest[0]), False, nearest[1], tried)


def _sentences(causes: Sequence[str]) -> tuple[str, ...]:
    return (f"it {causes[0]}", *causes[1:]) if causes else ()


_COARSE = "differs by as much as float16 weights or arithmetic do, although its types do not show them"


def _changes(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The model as it is, and changed in ways in which a file may differ from it."""
    from ..blocks import FuseStep, TidyFuseStep
    from ..model import LiteHRNet, with_fuse_step

    yield "", model
    if not isinstance(model, LiteHRNet):
        return
    steps = [module for module in model.modules() if isinstance(module, FuseStep)]
    if any(isinstance(step, TidyFuseStep) for step in steps):
        yield "has the fuse step of the public code, where the model has the tidy one", with_fuse_step(model, "lean")
    elif steps:
        yield "has the tidy fuse step, not that of the public code", with_fuse_step(model, "tidy")


def _answer(session: Session, images: np.ndarray, last: bool) -> np.ndarray:
    """What the file gives for images (N, 3, H, W), in the type and the layout that it takes."""
    signature = session.signature
    assert signature is not None
    kind = np.dtype(signature.inputs[0].dtype)
    given = images.transpose(0, 2, 3, 1) if last else images
    if kind.kind in "iu":
        given = given.round().clip(np.iinfo(kind).min, np.iinfo(kind).max)
    try:
        return np.asarray(session.run([np.ascontiguousarray(given.astype(kind))])[signature.output_index], np.float32)
    except RuntimeError as error:
        raise ValueError(f"{signature.name} does not run at {given.shape}: {first_line(error)}") from error


def _channels_first(maps: np.ndarray, wanted: tuple[int, ...]) -> tuple[str, np.ndarray]:
    """Heatmaps with the channels first, and a phrase if the file has them last."""
    if maps.ndim == 4 and maps.shape != wanted and maps.transpose(0, 3, 1, 2).shape == wanted:
        return "gives heatmaps with the channels last", maps.transpose(0, 3, 1, 2)
    return "", maps


def _order(expected: np.ndarray, maps: np.ndarray, tolerance: float) -> np.ndarray | None:
    """For each joint of the file, its number in the model; None unless the same joints come in another order."""
    joints = expected.shape[1]
    pixels = np.linspace(0, math.prod(expected.shape[2:]) - 1, _SAMPLES).astype(int)
    ours, theirs = (values[0].reshape(joints, -1)[:, pixels] for values in (expected, maps))  # (K, samples)
    apart = np.abs(theirs[:, None] - ours[None]).max(2)  # (K of the file, K of the model)
    order = apart.argmin(1)
    permuted = np.array_equal(np.sort(order), np.arange(joints)) and not np.array_equal(order, np.arange(joints))
    return order if permuted and apart.min(1).max() <= tolerance * np.abs(expected).max() else None


def _order_in_words(order: np.ndarray) -> str:
    moved = np.flatnonzero(order != np.arange(len(order)))
    shown = ", ".join(f"{joint} is the model's {order[joint]}" for joint in moved[:3])
    return f"has its joints in another order (its joint {shown}{', ...' if len(moved) > 3 else ''})"


def _other_sizes(model: nn.Module, session: Session, size: tuple[int, int], tolerance: float) -> Diagnosis | None:
    """Whether a file that claims to take any size is right only at another one."""
    signature = session.signature
    assert signature is not None
    for tried, other in enumerate(dict.fromkeys((DEFAULT_SIZE, (384, 288), (256, 256), *default_sizes(signature))), 1):
        if other == size or signature.height not in (None, other[0]) or signature.width not in (None, other[1]):
            continue
        usual = _SCALES[0].prepare(_photograph(other, signature.batch or 1))
        try:
            maps = _answer(session, usual, last=False)
        except ValueError:  # it runs at one size only, perhaps not at this one
            continue
        expected = heatmaps_of(model, usual)
        if maps.shape == expected.shape:
            row = compare(expected, maps, other, tolerance, signature.output)
            if row.ok:
                right, wrong = ("x".join(map(str, sides)) for sides in (other, size))
                return Diagnosis(
                    (f"it is made for {right}, and at {wrong} it computes something else",), True, row, tried
                )
    return None


# ------------------------------------------------------------------------------------- what the weights in the file say


def _of_weights(model: nn.Module, path: Path, kind: str) -> Iterator[str]:
    """What the 3x3 depthwise filters in a file say: which variant it is, and whether the weights are the model's.

    Exporters fold batch norms into them, which multiplies each filter by a number; nothing else happens to them.
    """
    readers = {"onnx": onnx_filters, "openvino": openvino_filters}
    if kind not in readers:
        return
    theirs, ours = readers[kind](path), _filters(model)
    if not len(theirs) or not len(ours):
        return
    name = getattr(getattr(model, "variant", None), "name", None)
    variant = _variant_with(len(theirs))
    if name is not None and variant not in (None, name):
        yield f"the file has as many depthwise filters as {variant}, and the model is {name}"
        return
    held = int((_nearest(ours, theirs) >= _SAME_FILTER).sum())
    if held < 0.5 * len(ours):
        yield (
            f"{held:,} of the model's {len(ours):,} depthwise filters are in the file, so it holds other weights: "
            "those of another checkpoint or epoch, or raw weights instead of averaged ones"
        )
    elif held > 0.95 * len(ours):
        yield "the model's depthwise filters are in the file: the graph differs, or the weights of other layers do"


def _filters(model: nn.Module) -> np.ndarray:
    """All 3x3 depthwise filters of a network, (filters, 9)."""
    import torch

    found = [
        module.weight.detach().cpu().float().numpy().reshape(-1, 9)
        for module in model.modules()
        if isinstance(module, torch.nn.Conv2d) and tuple(module.weight.shape[1:]) == (1, 3, 3)
    ]
    return np.concatenate(found) if found else np.zeros((0, 9), np.float32)


def _variant_with(filters: int) -> str | None:
    """The only variant with this number of depthwise filters, if there is one."""
    import torch

    from ..model import VARIANTS, LiteHRNet

    with torch.device("meta"):
        counts = {
            name: sum(
                module.out_channels
                for module in LiteHRNet(variant, 1).modules()
                if isinstance(module, torch.nn.Conv2d) and tuple(module.weight.shape[1:]) == (1, 3, 3)
            )
            for name, variant in VARIANTS.items()
        }
    names = [name for name, count in counts.items() if count == filters]
    return names[0] if len(names) == 1 else None


def _nearest(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """For each of our filters the largest cosine with one of theirs, its sign aside."""
    ours, theirs = (
        values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        for values in (ours.astype(np.float32), theirs.astype(np.float32))
    )
    return np.concatenate([np.abs(block @ theirs.T).max(1) for block in np.array_split(ours, -(-len(ours) // 512))])
