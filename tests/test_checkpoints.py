"""Weights from every kind of file: names, containers, refusals, downloads, and trained ones on real photographs."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import http.server
import io
import json
import os
import pickle
import shutil
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import reference_model

import litehrnet
from litehrnet.checkpoints import JOINT_SETS, CheckpointNote, read_metadata, save_weights
from litehrnet.checkpoints import loading as checkpoints
from litehrnet.checkpoints import public as downloads
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, decode, oks, read_image, to_image, to_input

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="module")
def source() -> litehrnet.LiteHRNet:
    return reference_model("litehrnet18", num_joints=16)


@pytest.fixture(scope="module")
def state(source: litehrnet.LiteHRNet) -> dict[str, torch.Tensor]:
    return source.state_dict()


def same(one: litehrnet.LiteHRNet, other: litehrnet.LiteHRNet) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)


def renamed(state: dict, prefix: str = "", head: str = "head.") -> dict:
    return {prefix + (head + key[5:] if key.startswith("head.") else key): value for key, value in state.items()}


# ------------------------------------------------------------------------------------------ names and containers


@pytest.mark.parametrize("head", ["head.", "keypoint_head."], ids=["mmpose1", "official"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module.", "_orig_mod."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_all_names_load(source, state, tmp_path: Path, prefix: str, head: str, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    names = renamed(state, prefix, head)
    if suffix == ".pth":
        torch.save({"state_dict": names, "meta": {"epoch": 210}}, path)
    else:
        from safetensors.torch import save_file

        save_file(names, path)
    loaded = litehrnet.from_checkpoint(path)
    assert (loaded.variant.name, loaded.num_joints, loaded.training) == ("litehrnet18", 16, False)
    assert same(loaded, source)


@pytest.mark.parametrize("wrap", [
    lambda s: s,
    lambda s: {"state_dict": s, "optimizer": {"lr": 0.1}},
    lambda s: {"model": s, "epoch": 3},
    lambda s: {"ema": s, "model": {key: value + 1 for key, value in s.items()}},
    lambda s: {"ema": {"module": s, "updates": 5}},
], ids=["bare", "state_dict", "model", "ema first", "ema of a wrapper"])  # fmt: skip
@pytest.mark.filterwarnings("ignore::litehrnet.checkpoints.CheckpointNote")
@pytest.mark.parametrize("legacy", [False, True])
def test_all_containers_load(source, state, tmp_path: Path, wrap: Callable, legacy: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(wrap(dict(state)), path, _use_new_zipfile_serialization=not legacy)
    assert same(litehrnet.from_checkpoint(path), source)


@pytest.mark.parametrize("name", list(litehrnet.VARIANTS))
@pytest.mark.parametrize("joints", [12, 21])
def test_variant_and_joints_are_told(tmp_path: Path, name: str, joints: int) -> None:
    path = tmp_path / "weights.pth"
    torch.save(litehrnet.create_model(name, joints).state_dict(), path)
    loaded = litehrnet.from_checkpoint(path)
    assert (loaded.variant.name, loaded.num_joints) == (name, joints)


def test_load_checkpoint_returns_the_model_in_its_mode(source, state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    model = litehrnet.create_model("litehrnet18", 16).train()
    assert litehrnet.load_checkpoint(model, str(path)) is model
    assert model.training
    assert same(model, source)


def test_counters_that_old_files_lack_and_buffers_of_trainers(source, state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save({**old, "data_preprocessor.mean": torch.zeros(3), "ema_backbone_stem_conv1": torch.zeros(1)}, path)
    with pytest.warns(CheckpointNote, match="mmcv's EMA hook"):
        assert same(litehrnet.from_checkpoint(path), source)
    torch.save(torch.optim.swa_utils.AveragedModel(source).state_dict(), path)
    assert same(litehrnet.from_checkpoint(path), source)


def test_what_float16_cannot_hold_is_not_written(source, tmp_path: Path) -> None:
    model = copy.deepcopy(source)
    with torch.no_grad():
        model.head.final_layer.weight[0, 0] = 7e4
    with pytest.raises(ValueError, match=r"head.final_layer.weight reaches 7e\+04, and float16 ends at 65504"):
        save_weights(model, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
    for kind in (torch.float64, torch.float16):
        read = safetensors.torch.load_file(save_weights(copy.deepcopy(source).to(kind), tmp_path / "m.safetensors"))
        assert {value.dtype for value in read.values() if value.ndim < 4} == {torch.float32, torch.int64}


@pytest.mark.parametrize("header", ["[]", "3", '{"__metadata__": null}', '{"__metadata__": 5}'])
def test_metadata_of_another_form(tmp_path: Path, header: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    if "null" in header:
        assert read_metadata(path) == {}
    else:
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            read_metadata(path)


def test_half_precision_is_read(source, state, tmp_path: Path) -> None:
    path = save_weights(source, tmp_path / "weights.safetensors", trained="no")
    loaded = litehrnet.from_checkpoint(path)
    for key, value in loaded.state_dict().items():
        assert value.dtype == state[key].dtype
        assert torch.equal(value, state[key].to(torch.float16 if value.ndim == 4 else value.dtype).to(value.dtype))
    assert read_metadata(path) == {"variant": "litehrnet18", "joints": "16", "trained": "no"}
    assert path.stat().st_size < 3e6


# ------------------------------------------------------------------------------------------------------ refusals


def refusal(model: litehrnet.LiteHRNet, path: Path) -> str:
    """What is said about a file that does not load; the model must stay as it was."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError) as caught:
        litehrnet.load_checkpoint(model, path)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return str(caught.value)


def test_one_table_of_all_that_does_not_fit(state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    wrong = dict(state)
    del wrong["backbone.stem.conv1.bn.weight"]
    wrong["backbone.stem.extra"] = torch.zeros(2, 3)
    wrong["head.final_layer.bias"] = torch.zeros(5)
    torch.save(wrong, path)
    message = refusal(litehrnet.create_model("litehrnet18", 16), path)
    assert "nothing was loaded" in message
    rows = [row.split() for row in message.splitlines()[1:]]
    assert rows == [
        ["missing", "backbone.stem.conv1.bn.weight", "32"],
        ["unexpected", "backbone.stem.extra", "2x3"],
        ["wrong", "shape", "head.final_layer.bias", "5", "in", "the", "file,", "16", "in", "the", "model"],
    ]


def test_a_long_table_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(litehrnet.create_model("litehrnet30").state_dict(), path)
    message = refusal(litehrnet.create_model("litehrnet18"), path)
    assert "It holds litehrnet30 with 17 joints" in message
    assert "more" in message
    assert len(message.splitlines()) < 20


def test_other_joints_get_a_hint(state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    message = refusal(litehrnet.create_model("litehrnet18"), path)
    assert "litehrnet18 with 16 joints" in message
    assert "head.final_layer.weight  16x40x1x1 in the file, 17x40x1x1 in the model" in message


class Unsafe:
    """Reading it would call any function with any arguments."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def broken_files() -> dict[str, tuple[Callable[[Path, dict], None], str]]:
    def cut(path: Path, state: dict) -> None:
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:100_000])

    def cut_legacy(path: Path, state: dict) -> None:
        torch.save(state, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:100_000])

    def cut_safetensors(path: Path, state: dict) -> None:
        from safetensors.torch import save

        path.write_bytes(save(state)[:-1000])

    def nan(path: Path, state: dict) -> None:
        torch.save({**state, "head.final_layer.bias": torch.full((16,), torch.nan)}, path)

    def saved(held: object) -> Callable[[Path, dict], None]:
        return lambda path, state: torch.save(held, path)

    def text(content: bytes) -> Callable[[Path, dict], None]:
        return lambda path, state: path.write_bytes(content)

    def archive(*names: str) -> Callable[[Path, dict], None]:
        def write(path: Path, state: dict) -> None:
            with zipfile.ZipFile(path, "w") as file:
                for name in names:
                    file.writestr(name, "text")

        return write

    return {
        "cut": (cut, "cut short or damaged"),
        "cut legacy": (cut_legacy, "cut short or damaged"),
        "cut safetensors": (cut_safetensors, "cut short or damaged"),
        "nothing": (text(b""), "is empty"),
        "text": (text(b"hello, these are not weights"), "not a checkpoint"),
        "web page": (text(b"<!DOCTYPE html><html>404</html>"), "a web page"),
        "OpenVINO": (text(b"<?xml version='1.0'?><net name='m'/>"), "not a checkpoint but a file that begins with"),
        "TorchScript": (lambda path, s: torch.jit.script(torch.nn.ReLU()).save(path), "a TorchScript program"),
        "lfs": (text(b"version https://git-lfs.github.com/spec/v1\noid sha256:1"), "git lfs pull"),
        "empty dict": (saved({}), "empty state dict"),
        "empty inside": (saved({"state_dict": {}}), "empty state dict"),
        "a list": (saved([torch.zeros(1)]), "a list, not a state dict"),
        "a tensor": (saved(torch.zeros(3)), "a Tensor, not a state dict"),
        "no state dict": (saved({"epoch": 3, "lr": 0.1}), "holds no state dict"),
        "another network": (saved({"layer1.0.conv1.weight": torch.zeros(3)}), "another network"),
        "whole model": (saved(torch.nn.ReLU()), "more than weights: torch.nn.modules.activation.ReLU (part"),
        "code": (saved({"state_dict": Unsafe(exec, "raise SystemExit")}), "more than weights: exec (part"),
        "blocked code": (saved({"meta": Unsafe(os.mkdir, "code ran")}), "more than weights: posix.mkdir (part"),
        "deleted": (saved({"meta": Unsafe(shutil.rmtree, "/none")}), "more than weights: shutil.rmtree (part"),
        "bare pickle": (text(pickle.dumps({"a": 1}, protocol=4)), "a bare pickle (protocol 4); save"),
        "new protocol": (lambda path, s: torch.save(s, path, pickle_protocol=4), "written in pickle protocol 4"),
        "zip": (archive("notes.txt", "a.npy"), "a zip archive, not a checkpoint; it holds notes.txt, a.npy"),
        "empty zip": (archive(), "not a checkpoint; it holds nothing"),
        "damaged zip": (text(b"PK\3\4 and then nothing"), "cut short or damaged"),
        "gzip": (text(b"\x1f\x8b\x08 and more"), "a gzip archive: unpack it first"),
        "Keras": (text(b"\x89HDF\r\n and more"), "an HDF5 file"),
        "nan": (nan, "head.final_layer.bias is NaN or infinity in 16 of 16 values"),
        "twice": (lambda path, s: torch.save({**s, **renamed(s, "module.")}, path), "twice"),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("kind", broken_files())
def test_broken_files_each_get_their_sentence(state, tmp_path: Path, kind: str) -> None:
    make, part = broken_files()[kind]
    path = tmp_path / "weights.pth"
    make(path, dict(state))
    message = refusal(litehrnet.create_model("litehrnet18", 16), path)
    assert part in message
    assert str(path) in message
    assert len(message.splitlines()) == 1
    with pytest.raises(ValueError) as again:
        litehrnet.from_checkpoint(path)
    assert str(again.value) == message
    assert message.isprintable()


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        litehrnet.from_checkpoint(tmp_path / "none.pth")
    with pytest.raises(ValueError, match="folder"):
        litehrnet.from_checkpoint(tmp_path)


def test_a_variant_that_does_not_exist(state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({key: value for key, value in state.items() if "stage1.3." not in key}, path)
    with pytest.raises(ValueError, match="2-3-2 modules, channel weighting, 40 channels"):
        litehrnet.from_checkpoint(path)


# ------------------------------------------------------------------------------------------------------- values

BIAS, VARIANCE = "head.final_layer.bias", "backbone.stem.conv1.bn.running_var"
COUNTER, WEIGHT = "backbone.stem.conv1.bn.num_batches_tracked", "backbone.stem.conv1.conv.weight"


@pytest.mark.parametrize(
    ("key", "change", "sentence"),
    [
        (BIAS, lambda v: v.to(torch.int8), "is torch.int8, and weights are floating-point numbers"),
        (BIAS, lambda v: v > 0, "is torch.bool, and weights are"),
        (BIAS, lambda v: v.to(torch.complex64), "is torch.complex64, and weights are"),
        (BIAS, lambda v: v.to(torch.float64).fill_(1e300), "reaches 1e+300, and the model's torch.float32 ends at"),
        (BIAS, lambda v: v.index_fill(0, torch.tensor(3), torch.nan), "is NaN or infinity in 1 of 16 values"),
        (BIAS, lambda v: v.to_sparse(), "is a sparse or nested tensor (torch.sparse_coo)"),
        (BIAS, lambda v: v.to("meta"), "no values (a tensor of the meta device)"),
        (BIAS, lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), "is quantised (torch.qint8)"),
        (BIAS, lambda v: v.tolist(), "is a list, not a tensor"),
        (BIAS, lambda v: "text", "is a str, not a tensor"),
        (BIAS, lambda v: v.to(torch.float8_e5m2).fill_(torch.inf), "is NaN or infinity in 16 of 16 values"),
        (VARIANCE, lambda v: -v, "is a variance and reaches -"),
        (VARIANCE, lambda v: (v * 1e6).half(), "float16 ends at 65504, so save the weights again"),
        (WEIGHT, lambda v: v.to(torch.uint8), "is torch.uint8"),
        (COUNTER, lambda v: torch.tensor(2.5), "is a counter and holds 2.5, which is not a whole number"),
        (COUNTER, lambda v: torch.tensor(torch.inf), "is NaN or infinity in 1 of 1 values"),
        (COUNTER, lambda v: torch.tensor(True), "is torch.bool"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*quantize.*:DeprecationWarning", "ignore:.*Sparse.*:UserWarning")
def test_values_that_are_no_weights(state, tmp_path: Path, key: str, change: Callable, sentence: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save({**state, key: change(state[key])}, path)
    message = refusal(litehrnet.create_model("litehrnet18", 16), path)
    assert f"{path} holds an entry that cannot be used: {key} " in message
    assert sentence in message
    assert len(message.splitlines()) == 1


def test_all_bad_entries_are_counted(state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({key: value.to(torch.int8) for key, value in state.items()}, path)
    message = refusal(litehrnet.create_model("litehrnet18", 16), path)
    floats = sum(value.is_floating_point() for value in state.values())
    first = next(key for key, value in state.items() if value.is_floating_point())
    assert f"holds {floats} entries that cannot be used: {first} is torch.int8" in message


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_floats_of_every_width_load(source, state, tmp_path: Path, kind: torch.dtype) -> None:
    path = tmp_path / "weights.pth"
    torch.save({key: value.to(kind) if value.is_floating_point() else value for key, value in state.items()}, path)
    loaded = litehrnet.from_checkpoint(path)
    for key, value in loaded.state_dict().items():
        assert value.dtype == state[key].dtype
        assert torch.equal(value, state[key].to(kind).to(value.dtype))


def test_a_model_in_half_precision_takes_what_fits(source, state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    assert same(litehrnet.load_checkpoint(copy.deepcopy(source).half(), path), copy.deepcopy(source).half())
    torch.save({**state, VARIANCE: state[VARIANCE] + 1e5}, path)
    message = refusal(copy.deepcopy(source).half(), path)
    assert f"{VARIANCE} reaches 1e+05, and the model's torch.float16 ends at 65504" in message


def test_values_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = litehrnet.load_pretrained("litehrnet18")
    with torch.no_grad():
        model.get_buffer("backbone.stem.conv1.bn.running_var")[0] = 7e4
    model = model.half().float()  # float16 ends at 65504
    with pytest.raises(
        ValueError, match=r"running_var holds NaN or infinity, which \.half\(\) makes.*load the weights again"
    ):
        save_weights(model, tmp_path / "m.safetensors")
    model = litehrnet.create_model("naive_litehrnet18").double()
    with torch.no_grad():
        model.head.final_layer.bias[0] = 1e300
    with pytest.raises(ValueError, match=r"final_layer.bias reaches 1e\+300, and float32 ends at 3\.4e38"):
        save_weights(model, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"metadata is text: epoch is 3, of type int"):
        save_weights(litehrnet.create_model("naive_litehrnet18"), tmp_path / "m.safetensors", epoch=3)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ into which model


def test_wrapped_models_are_filled(source, state, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    for wrap in (torch.nn.DataParallel, torch.compile, lambda m: torch.nn.DataParallel(torch.compile(m))):
        model = litehrnet.create_model("litehrnet18", 16)
        wrapped = wrap(model)
        assert litehrnet.load_checkpoint(wrapped, path) is wrapped
        assert same(model, source)
        assert read_metadata(save_weights(wrapped, tmp_path / "m.safetensors"))["joints"] == "16"


def test_other_networks_get_one_sentence(source, state, tmp_path: Path) -> None:
    from litehrnet.fusion import fuse

    path = tmp_path / "weights.pth"
    torch.save(state, path)
    for model, name in ((torch.nn.Linear(2, 2), "Linear"), (fuse(source, (64, 32)), "FusedLiteHRNet")):
        for act in (
            lambda m: litehrnet.load_checkpoint(m, path),
            lambda m: save_weights(m, tmp_path / "m.safetensors"),
        ):
            with pytest.raises(ValueError, match=f"a LiteHRNet, such as create_model makes, not a {name}") as caught:
                act(model)
            assert ("fuse it afterwards" in str(caught.value)) == (name == "FusedLiteHRNet")
    with pytest.raises(ValueError, match="not a str"):
        litehrnet.load_checkpoint("litehrnet18", path)


@pytest.mark.parametrize(
    ("held", "into", "hint"),
    [
        (("litehrnet18", 17), ("litehrnet30", 17), "It holds litehrnet18 with 17 joints: litehrnet.from_"),
        (("naive_litehrnet18", 16), ("litehrnet18", 17), "It holds naive_litehrnet18 with 16 joints"),
        (("litehrnet18", 16), ("litehrnet18", 5), "and with num_joints=5 its backbone with a new head"),
        (("naive_litehrnet18", 17), ("wider_naive_litehrnet18", 17), "It holds naive_litehrnet18 with 17 joints"),
    ],
)  # fmt: skip
def test_what_the_file_holds_is_said(tmp_path: Path, held: tuple, into: tuple, hint: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(litehrnet.create_model(*held).state_dict(), path)
    assert hint in refusal(litehrnet.create_model(*into), path)


def test_joints_must_be_as_many_as_heatmaps() -> None:
    model = litehrnet.create_model("naive_litehrnet18", 16)
    model.joints = JOINT_SETS["mpii"]
    with pytest.raises(ValueError, match="17 joints do not name the 16 heatmaps"):
        model.joints = JOINT_SETS["coco"]
    assert copy.deepcopy(model).joints is not None


# ----------------------------------------------------------------------------------------------- content and ending

ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".zip", ".tar", "")
CONTENTS: dict[str, Callable[[dict], bytes]] = {
    "torch": lambda state: _saved(state),
    "older torch": lambda state: _saved(state, _use_new_zipfile_serialization=False),
    "safetensors": lambda state: safetensors.torch.save(state),
    "page": lambda state: b"<html><body>404 Not Found</body></html>",
    "pointer": lambda state: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "zip": lambda state: _zipped({"readme.txt": b"hello"}),
    "zip of weights": lambda state: _zipped({"weights.pth": _saved(state)}),
    "pickle": lambda state: pickle.dumps({"state_dict": [1, 2]}),
    "nothing": lambda state: b"",
}


def _saved(held: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(held, buffer, **options)
    return buffer.getvalue()


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small() -> litehrnet.LiteHRNet:
    return reference_model("naive_litehrnet18", 3)


@pytest.fixture(scope="module")
def contents(small) -> dict[str, bytes]:
    state = dict(small.state_dict())
    return {name: make(state) for name, make in CONTENTS.items()}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", CONTENTS)
def test_the_content_decides_and_not_the_ending(small, contents, tmp_path: Path, content: str, ending: str) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(contents[content])
    if content in ("torch", "older torch", "safetensors"):
        assert same(litehrnet.from_checkpoint(path), small)
    else:
        with pytest.raises(ValueError) as caught:
            litehrnet.from_checkpoint(path)
        assert str(path) in str(caught.value)
        assert str(caught.value).isprintable()


@given(
    ending=st.sampled_from(ENDINGS),
    first=st.sampled_from(list(CONTENTS)),
    second=st.sampled_from(list(CONTENTS)),
    cut=st.floats(0, 1),
    splice=st.booleans(),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_and_spliced_files_load_or_get_a_sentence(
    contents, tmp_path_factory, ending: str, first: str, second: str, cut: float, splice: bool, flips: list
) -> None:
    """Part of one file, perhaps with the end of another, and some bytes changed near the front."""
    whole, other = contents[first], contents[second]
    made = bytearray(whole[: int(cut * len(whole))] + (other[int(cut * len(other)) :] if splice else b""))
    for place, change in flips:
        if made:
            made[int(place**4 * len(made))] ^= change
    path = tmp_path_factory.mktemp("spliced") / f"file{ending}"
    path.write_bytes(made)
    try:
        model = litehrnet.from_checkpoint(path)
    except ValueError as error:
        sentence = str(error).splitlines()[0]
        assert str(path) in sentence
        assert sentence.isprintable()
    else:
        assert all(value.isfinite().all() for value in model.state_dict().values())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(ValueError, match="a pipe or a device"):
        litehrnet.from_checkpoint(tmp_path / "pipe.pth")


# ------------------------------------------------------------------------------------------------ weights by name


def test_bundled_weights_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    model = litehrnet.load_pretrained("litehrnet18")
    assert (model.variant.name, model.num_joints, model.training) == ("litehrnet18", 17, False)
    path = data_path("litehrnet18_256x192.safetensors")
    assert path.stat().st_size < 3e6
    assert path.with_suffix(".md").exists(), "every weights file has its model card"


def test_public_names() -> None:
    with pytest.raises(ValueError, match="litehrnet30_coco_384x288"):
        litehrnet.load_pretrained("litehrnet99")
    for name, public in downloads.PUBLIC.items():
        assert public.file_name.startswith(f"{name}-{public.hash_prefix}_")
        assert "x".join(map(str, public.size)) in name


class Served:
    """A server on loopback that gives one file, or part of it, or fails in some other way."""

    def __init__(self, content: bytes) -> None:
        self.content, self.sent, self.requests = content, len(content), 0
        self.status, self.length = 200, True
        self.released = threading.Event()  # a stalled answer ends here
        self.released.set()
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests += 1
                self.send_response(served.status)
                if served.status in (301, 302):
                    self.send_header("Location", self.path)
                if served.length:
                    self.send_header("Content-Length", str(len(served.content)))
                self.end_headers()
                self.wfile.write(served.content[: served.sent])
                self.wfile.flush()
                served.released.wait(60)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # whoever asked has hung up, which is what is tested
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/weights-00000000_20211230.pth"


@pytest.fixture
def served(state, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The name "served" leads to a server on loopback; torch's hub is in a fresh folder."""
    torch.save({"state_dict": renamed(dict(state), head="keypoint_head.")}, tmp_path / "made.pth")
    content = (tmp_path / "made.pth").read_bytes()
    server = Served(content)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    digest = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setitem(checkpoints.PUBLIC, "served", downloads.PublicFile(server.url, digest, (256, 192)))
    yield server
    server.server.shutdown()
    server.server.server_close()


def cached(tmp_path: Path) -> list[str]:
    folder = tmp_path / "home" / "hub" / "checkpoints"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_download_once_then_from_the_cache(served: Served, source, tmp_path: Path, capfd) -> None:
    assert same(litehrnet.load_pretrained("served"), source)
    assert "100%" in capfd.readouterr().err
    served.server.shutdown()
    served.server.server_close()
    assert same(litehrnet.load_pretrained("served"), source)
    assert (served.requests, cached(tmp_path)) == (1, ["weights-00000000_20211230.pth"])


def test_wrong_hash_keeps_nothing(served: Served, tmp_path: Path) -> None:
    served.content = served.content[:-1] + b"?"
    with pytest.raises(ValueError, match=r"incomplete or changed.*by hand"):
        litehrnet.load_pretrained("served")
    assert cached(tmp_path) == []


def test_cut_connection_keeps_nothing(served: Served, source, tmp_path: Path) -> None:
    served.sent = len(served.content) // 2
    with pytest.raises((ValueError, ConnectionError), match=r"by hand"):
        litehrnet.load_pretrained("served")
    assert cached(tmp_path) == []
    served.sent = len(served.content)
    assert same(litehrnet.load_pretrained("served"), source)


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "404"), (403, "403"), (500, "500"), (503, "503"), (302, "redirect")]
)
def test_answers_that_are_no_file_keep_nothing(served: Served, tmp_path: Path, status: int, reason: str) -> None:
    served.status = status
    with pytest.raises(ConnectionError, match=f"could not be downloaded .*{reason}.*by hand"):
        litehrnet.load_pretrained("served")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("length", [True, False])
def test_a_page_in_place_of_the_file_keeps_nothing(served: Served, tmp_path: Path, length: bool) -> None:
    served.content, served.length = b"<html>maintenance</html>", length
    with pytest.raises(ValueError, match=r"incomplete or changed.*by hand"):
        litehrnet.load_pretrained("served")
    assert cached(tmp_path) == []


def test_a_server_that_stops_sending_is_given_up(served: Served, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(downloads, "_PATIENCE", 0.5)
    served.sent = len(served.content) // 2
    served.released.clear()
    try:
        with pytest.raises(ConnectionError, match=r"timed out.*by hand"):
            litehrnet.load_pretrained("served")
    finally:
        served.released.set()
    assert cached(tmp_path) == []
    assert socket.getdefaulttimeout() is None


def test_what_is_in_the_way_is_named(served: Served, tmp_path: Path) -> None:
    place = tmp_path / "home" / "hub" / "checkpoints" / "weights-00000000_20211230.pth"
    place.mkdir(parents=True)
    with pytest.raises(ValueError, match="not an ordinary file"):
        litehrnet.load_pretrained("served")
    place.rmdir()
    place.parent.rmdir()
    place.parent.write_text("a file where a folder should be")
    with pytest.raises(ConnectionError, match=r"exists.*by hand"):
        litehrnet.load_pretrained("served")
    assert served.requests == 0


def test_public_weights_know_their_joints_and_size(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dataclasses.replace(checkpoints.PUBLIC["served"], joint_set="mpii")
    monkeypatch.setitem(checkpoints.PUBLIC, "served", known)
    model = litehrnet.load_pretrained("served")
    assert (model.joints, model.trained_size) == (JOINT_SETS["mpii"], (256, 192))
    with pytest.warns(CheckpointNote, match="holds 16 joints: the head for 4 joints is new"):
        model = litehrnet.load_pretrained("served", num_joints=4)
    assert (model.num_joints, model.joints, model.trained_size) == (4, None, (256, 192))
    assert served.requests == 1


def test_bundled_weights_for_other_joints() -> None:
    model = litehrnet.load_pretrained("litehrnet18")
    assert (model.joints, model.trained_size) == (JOINT_SETS["coco"], (256, 192))
    with pytest.warns(CheckpointNote, match="is new"):
        other = litehrnet.load_pretrained("litehrnet18", num_joints=21)
    assert (other.num_joints, other.joints, other.trained_size) == (21, None, (256, 192))


def test_offline_names_the_file_and_the_place(served: Served, tmp_path: Path) -> None:
    served.server.shutdown()
    served.server.server_close()
    with pytest.raises(ConnectionError) as caught:
        litehrnet.load_pretrained("served")
    assert served.url in str(caught.value)
    place = tmp_path / "home" / "hub" / "checkpoints" / "weights-00000000_20211230.pth"
    assert str(place) in str(caught.value)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(served.content)
    assert litehrnet.load_pretrained("served").num_joints == 16
    place.write_bytes(served.content[:-1])
    with pytest.raises(ValueError, match="not the published file"):
        litehrnet.load_pretrained("served")


# ----------------------------------------------------------------------------------- trained weights, real people


@pytest.mark.skipif(not (SHARED / "weights").exists(), reason="no trained weights beside this checkout")
def test_trained_weights_find_real_people(tmp_path: Path) -> None:
    from litehrnet.export import export_onnx
    from litehrnet.runtimes import load

    model = litehrnet.from_checkpoint(SHARED / "weights" / "wider_naive_litehrnet18_256x192.pth")
    assert (model.variant.name, model.num_joints) == ("wider_naive_litehrnet18", 17)
    people = json.loads((SHARED / "photos" / "people.json").read_text())
    names = {image["id"]: image["file_name"] for image in people["images"]}
    photos = {key: read_image(SHARED / "photos" / name) for key, name in names.items()}
    path = export_onnx(model, tmp_path / "model.onnx", exporter="torchscript")
    for network in (load(model, "torch"), load(path, "onnxruntime")):
        values = []
        for person in people["annotations"]:
            crop, to_crop = crop_person(photos[person["image_id"]], person["bbox"])
            joints, _ = decode(network(to_input(crop)))
            target = np.reshape(person["keypoints"], (-1, 3))
            values.append(oks(to_image(joints[0], to_crop), target, person["area"]))
        assert len(values) == 12
        assert np.mean(values) > 0.88
