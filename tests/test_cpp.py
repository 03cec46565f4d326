"""The C++ examples: their header does what Python does, and their programs find the joints that PyTorch finds."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bounds import within
from PIL import Image

import litehrnet
from litehrnet.export import export
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, decode, read_image, to_image, to_input
from litehrnet.runtimes import load

BOX = (60, 10, 390, 500)  # the astronaut's, as in the example's README
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed")


def succeed(command: Sequence[str | Path], data: bytes = b"") -> bytes:
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, check=False)
    assert not done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.ppm"
    Image.fromarray(read_image(data_path("astronaut.jpg"))).save(path)
    return path


# The header


@pytest.fixture(scope="module")
def program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cpp") / "cpp_pose"
    strict = ("-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-pedantic")
    include = f"-I{root / 'examples' / 'cpp'}"
    succeed([str(COMPILER), *strict, include, root / "tests" / "cpp_pose.cpp", "-o", path])
    return path


@pytest.mark.parametrize(
    ("box", "size"),
    [
        (BOX, (256, 192)),
        ((-80, -40, 300.5, 200.25), (64, 96)),
        ((400, 380, 500, 60), (33, 65)),
        ((3, 5, 9, 9), (64, 48)),
    ],
)
def test_the_header_crops_and_normalises_as_python_does(
    program: Path, photo: Path, box: tuple[float, ...], size: tuple[int, int]
) -> None:
    found = succeed([program, "crop", photo, *map(str, box), *map(str, size)])
    crop, _ = crop_person(read_image(photo), box, size)
    assert np.array_equal(np.frombuffer(found, np.uint8, crop.size).reshape(crop.shape), crop)
    normalised = np.frombuffer(found, np.float32, crop.size, crop.size).reshape(1, 3, *size)
    assert np.array_equal(normalised, to_input(crop))


@pytest.mark.parametrize("size", [(64, 48), (65, 33), (8, 8)])
def test_the_header_decodes_as_python_does(program: Path, size: tuple[int, int]) -> None:
    rows, columns = -(-size[0] // 4), -(-size[1] // 4)
    maps = np.random.default_rng(5).standard_normal((1, 200, rows, columns)).astype(np.float32)  # peaks at borders, too
    maps[0, 0, 1, 1] = maps[0, 1, -1, -1] = 9.0
    found = np.frombuffer(succeed([program, "decode", *map(str, size), "200"], maps.tobytes())).reshape(200, 3)
    joints, scores = decode(maps)
    assert np.array_equal(found, np.column_stack([joints[0], scores[0]]).astype(np.float64))


@pytest.mark.parametrize("content", [b"P5 2 2 255 1234", b"P6 2 2 65535 " + bytes(24), b"P6 2 2 255 " + bytes(11), b""])
def test_the_header_refuses_other_pictures(program: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.ppm").write_bytes(content)
    command = [program, "crop", tmp_path / "photo.ppm", "0", "0", "2", "2", "8", "8"]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    assert done.returncode and b"photo.ppm is" in done.stderr


# The programs


@pytest.mark.numeric
def test_the_reference_joints_are_what_pytorch_finds(root: Path) -> None:
    expected = np.loadtxt(root / "examples" / "cpp" / "astronaut.txt")
    crop, to_crop = crop_person(read_image(data_path("astronaut.jpg")), BOX)
    maps = load(litehrnet.create_model("litehrnet18", pretrained=True))(to_input(crop))
    joints, scores = decode(maps)
    found = np.column_stack([to_image(joints[0], to_crop), scores[0]])
    within(np.abs(found - expected).max(), 0.1, "pixels and scores")


def library(name: str, folder: Path) -> list[str]:
    """The CMake options that lead to a runtime's headers and library; skips the test where they are not there."""
    if name == "openvino":
        spec = importlib.util.find_spec("openvino")
        if spec is None or spec.origin is None:
            pytest.skip("OpenVINO is not installed")
        return [f"-DOpenVINO_DIR={Path(spec.origin).parent / 'cmake'}"]
    if name == "ncnn":
        if not os.environ.get("NCNN_DIR"):
            pytest.skip("ncnn's headers are in no Python package: build ncnn, and set NCNN_DIR to its lib/cmake/ncnn")
        return [f"-Dncnn_DIR={os.environ['NCNN_DIR']}"]
    headers = Path(os.environ.get("ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime"))
    if not (headers / "onnxruntime_cxx_api.h").is_file():
        pytest.skip("ONNX Runtime's headers are in no Python package: set ONNXRUNTIME_INCLUDE to their folder")
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None and spec.origin is not None
    own = next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*"), None)
    if own is None:
        return [f"-DONNXRUNTIME_INCLUDE={headers}"]
    for link in ("libonnxruntime.so", "libonnxruntime.so.1"):  # the first is linked with, the second looked for later
        (folder / link).symlink_to(own)
    return [f"-DONNXRUNTIME_INCLUDE={headers}", f"-DONNXRUNTIME_LIBRARY={folder / 'libonnxruntime.so'}"]


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "ncnn"])
def test_an_example_finds_the_joints_that_pytorch_finds(root: Path, photo: Path, tmp_path: Path, name: str) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("CMake is not installed")
    options = library(name, tmp_path)
    if name == "ncnn" and importlib.util.find_spec("pnnx") is None:
        pytest.skip("pnnx is not installed")
    suffix = {"onnxruntime": ".onnx", "openvino": ".xml", "ncnn": ".ncnn.param"}[name]
    quick = {"exporter": "torchscript"} if name == "onnxruntime" else {}
    model = litehrnet.create_model("litehrnet18", pretrained=True)
    file = export(model, tmp_path / f"litehrnet18{suffix}", fused=True, **quick)[0]
    given = [f"-DPOSE_MODELS={tmp_path}", f"-DPOSE_PHOTO={photo}"]
    succeed(["cmake", "-S", root / "examples" / "cpp", "-B", tmp_path / "build", *options, *given])
    succeed(["cmake", "--build", tmp_path / "build", "--target", f"pose_{name}"])
    program = tmp_path / "build" / f"pose_{name}"
    command = [program, file, photo, *map(str, BOX)]
    said = succeed([*command, root / "examples" / "cpp" / "astronaut.txt"]).decode()
    apart = re.search(r"at most (\S+) pixels", said)
    assert apart is not None
    within(float(apart[1]), 0.1, "pixels")
    # The comparison can fail, and wrong calls end in a sentence.
    lines = (root / "examples" / "cpp" / "astronaut.txt").read_text().splitlines()
    (tmp_path / "other.txt").write_text("\n".join(["1 1 1", *lines[1:]]))
    for words, code in (([*command, tmp_path / "other.txt"], 1), ([*command, photo], 2), (command[:3], 2)):
        done = subprocess.run([str(word) for word in words], capture_output=True, check=False)
        assert done.returncode == code, done
