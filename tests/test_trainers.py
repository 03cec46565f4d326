"""Checkpoints as trainers really write them: mmpose 0.x and 1.x, Lightning, averaged weights, and plain loops."""

from __future__ import annotations

import argparse
import contextlib
import gc
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from reference import reference_model
from trainer_files import HAND

import litehrnet
from litehrnet.checkpoints import CheckpointNote, JointSet, read_metadata, save_weights
from litehrnet.checkpoints.reading import read_file

JOINTS = len(HAND)
# File to a part of the note, or "" if there was no choice to report.
SAME = {
    "mmpose1.pth": "",
    "mmpose1_older.pth": "",
    "mmpose1_ema.pth": "took state_dict, into which mmengine's EMA hook",
    "mmpose0.pth": "",
    "mmcv_ema.pth": "mmcv's EMA hook",
    "lightning_model.ckpt": "",
    "lightning_net.ckpt": "",
    "lightning_parts.ckpt": "",
    "timm.pth": "took the averaged ones, state_dict_ema, not state_dict",
    "model_ema.pth": "took the averaged ones, model_ema.module, not model",
    "shadow.pth": "took the averaged ones, ema.shadow, not model; their running statistics are those of the raw ones",
    "ema_only.pth": "",
    "ema_prefix.pth": "took the averaged ones, ema, not net",
    "averaged_model.pth": "",
    "swa_model.pt": "took the averaged ones, swa_model_state_dict, not model_state_dict",
    "model_state_dict.pth": "",
    "net.pth": "",
    "network.pth": "",
    "deep.pth": "",
    "compiled_backbone.pth": "",
    "flat.pth": "",
    "numpy.pth": "",
    "parameters.pth": "",
    "things.pth": "",
    "odd_meta.pth": "are not understood: a joint's name must be text, got 3",
}


@pytest.fixture(scope="module")
def source() -> litehrnet.LiteHRNet:
    return reference_model("naive_litehrnet18", JOINTS)


@pytest.fixture(scope="module")
def model() -> litehrnet.LiteHRNet:
    return litehrnet.create_model("naive_litehrnet18", JOINTS)


@pytest.fixture(scope="module")
def folder(source: litehrnet.LiteHRNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the files, written by a process that has the trainers' classes; this one has none of them."""
    folder = tmp_path_factory.mktemp("trainers")
    torch.save(source.state_dict(), folder / "weights")
    script = Path(__file__).with_name("trainer_files.py")
    subprocess.run([sys.executable, script, folder / "weights", folder], check=True, timeout=300)
    (folder / "weights").unlink()
    return folder


@contextlib.contextmanager
def noted(part: str) -> Iterator[None]:
    """Exactly one note with this part, or none if it is empty; and no other warning."""
    gc.collect()  # so that nothing that an earlier test left open is closed, with a warning, within the block
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [warning.category for warning in caught] == [CheckpointNote] * bool(part)
    assert all(part in str(warning.message) for warning in caught)


def same(one: litehrnet.LiteHRNet, other: litehrnet.LiteHRNet) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)


def test_every_file_is_tried(folder: Path) -> None:
    refused = {"backbone.pth", "backbone_in_lightning.ckpt", "two.pth", "unknown.pth", "wrong_meta.pth"}
    assert {path.name for path in folder.iterdir()} == SAME.keys() | refused


@pytest.mark.parametrize("name", SAME)
def test_it_loads(folder: Path, source: litehrnet.LiteHRNet, model: litehrnet.LiteHRNet, name: str) -> None:
    before = torch.serialization.get_safe_globals()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    with noted(SAME[name]):
        assert litehrnet.load_checkpoint(model, folder / name) is model
    assert same(model, source)
    assert torch.serialization.get_safe_globals() == before
    assert "mmengine" not in sys.modules


def test_what_mmpose_says_of_joints_and_size(folder: Path) -> None:
    names = tuple(HAND)
    model = litehrnet.from_checkpoint(folder / "mmpose1.pth")
    assert model.joints == JointSet(names, ((0, 1), (1, 2)), (), (0.026,) * JOINTS)
    assert model.trained_size == (288, 224)
    model = litehrnet.from_checkpoint(folder / "mmpose0.pth")
    assert model.joints == JointSet(names, ((0, 1),), (), (0.03,) * JOINTS)
    assert model.trained_size == (224, 160)
    for name in ("deep.pth", "odd_meta.pth"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CheckpointNote)
            model = litehrnet.from_checkpoint(folder / name)
        assert (model.joints, model.trained_size) == (None, None)


def test_joints_and_size_go_through_our_own_files(folder: Path, tmp_path: Path) -> None:
    model = litehrnet.from_checkpoint(folder / "mmpose1.pth")
    path = save_weights(model, tmp_path / "hand.safetensors")
    assert read_metadata(path)["size"] == "288x224"
    again = litehrnet.from_checkpoint(path)
    assert (again.joints, again.trained_size) == (model.joints, (288, 224))
    filled = litehrnet.load_checkpoint(litehrnet.create_model("naive_litehrnet18", JOINTS), path)
    assert (filled.joints, filled.trained_size) == (model.joints, (288, 224))
    model.joints = model.trained_size = None
    assert read_metadata(save_weights(model, path)).keys() == {"variant", "joints"}
    assert litehrnet.load_checkpoint(filled, path).joints is not None  # the file says nothing against them
    assert filled.trained_size is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("two.pth", "holds this network 2 times: student, teacher; keep the one that you want"),
        ("unknown.pth", r"holds more than weights: somebody\.trainer\.Kind \(part of"),
        ("wrong_meta.pth", r"describes 17 joints \(wrist, \.\.\.\) and its head has 21 heatmaps"),
        ("backbone.pth", "the backbone of naive_litehrnet18 alone, without head"),
        ("backbone_in_lightning.ckpt", "give num_joints to add a new head"),
    ],
)
def test_what_is_refused(folder: Path, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        litehrnet.from_checkpoint(folder / name)
    assert str(folder / name) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["mmpose1.pth", "backbone.pth", "backbone_in_lightning.ckpt"])
def test_another_number_of_joints(folder: Path, source: litehrnet.LiteHRNet, name: str) -> None:
    with noted("the head for 5 joints is new and has to be trained"):
        model = litehrnet.from_checkpoint(folder / name, num_joints=5)
    with noted("is new"):
        again = litehrnet.from_checkpoint(folder / name, num_joints=5)
    assert same(model, again)
    assert (model.num_joints, model.joints, model.training) == (5, None, False)
    assert model.trained_size == ((288, 224) if name == "mmpose1.pth" else None)
    old = source.backbone.state_dict()
    assert all(torch.equal(value, old[key]) for key, value in model.backbone.state_dict().items())
    head = model.head.final_layer
    assert head.bias.count_nonzero() == 0
    assert 0 < head.weight.abs().max() < 0.01


def test_the_same_number_of_joints_is_the_same_model(folder: Path, source: litehrnet.LiteHRNet) -> None:
    with noted(""):
        assert same(litehrnet.from_checkpoint(folder / "mmpose1.pth", num_joints=JOINTS), source)
    for wrong in (0, -1, 2.5, "5", True):
        with pytest.raises(ValueError, match="num_joints must be an integer of at least 1"):
            litehrnet.from_checkpoint(folder / "mmpose1.pth", num_joints=wrong)


def test_threads_do_not_take_each_others_permission(folder: Path) -> None:
    """torch's list of allowed names belongs to the process: whoever finishes first must not empty it for the rest."""
    failures: list[Exception] = []

    def read() -> None:
        try:
            litehrnet.from_checkpoint(folder / "mmpose1.pth")
        except ValueError as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_what_the_caller_allowed_stays_allowed(folder: Path) -> None:
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        litehrnet.from_checkpoint(folder / "mmpose1.pth")
        assert argparse.Namespace in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


class Calls:
    """A pickle that asks for a call of any function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def test_stand_ins_give_nothing_away(tmp_path: Path) -> None:
    """Neither getattr nor NumPy's own unpickling is reached: both could be led to code or to foreign memory."""
    path = tmp_path / "evil.pth"
    things = {
        "method": Calls(getattr, np.ndarray, "tofile"),
        "class": Calls(getattr, "", "__class__"),
        "object": Calls(np.float64().__reduce__()[0], np.dtype("O"), b"\x08" * 8),
        "objects": np.array([1, "a"], object),
        "structured": np.array([(1, None)], [("a", "i4"), ("b", "O")]),
        "flags": Calls(np.dtype, "O8", False, True),
        "texts": np.array(["a", "b"]),
        "numbers": np.arange(6, dtype=">i4").reshape(2, 3).T,
        "number": np.float32(0.5),
        "truth": np.array([True, False]),
    }
    torch.save(things, path)
    held = read_file(path).held
    assert {type(held[name]).__name__ for name in ("method", "class", "object")} == {"_Inert"}
    assert [held[name].size for name in ("objects", "structured", "texts")] == [0, 0, 0]
    assert held["flags"].plain is None
    assert held["numbers"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (held["number"], held["truth"].tolist()) == (0.5, [True, False])


@pytest.mark.parametrize("shape", [(5,), (-1,), (2, 2), "x", (1 << 62, 1 << 62)])
def test_an_array_of_another_length_is_damage(tmp_path: Path, shape: object) -> None:
    class Array:
        def __reduce__(self) -> tuple:
            return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, np.dtype("f8"), False, b"\0" * 24)

    path = tmp_path / "array.pth"
    torch.save({"a": Array()}, path)
    with pytest.raises(ValueError, match="cut short or damaged"):
        read_file(path)


def test_the_command_line_says_it_in_a_line(folder: Path, capsys: pytest.CaptureFixture) -> None:
    from litehrnet.cli.models import load_model

    load_model(str(folder / "timm.pth"))
    load_model(str(folder / "mmpose1.pth"))
    out, err = capsys.readouterr()
    assert out == ""
    taken = "took the averaged ones, state_dict_ema, not state_dict"
    assert err == f"note: {folder / 'timm.pth'} holds two sets of weights: {taken}\n"
