"""Convert an ONNX file for Rockchip's NPUs; run it in the toolkit's simulator, and keep it if both agree.

    litehrnet export my.pth --fused -o my.onnx
    python convert.py my.onnx --target rk3588 -o my.rknn

It needs rknn-toolkit2 and nothing else, in an environment of its own. The simulator computes on this computer, in
float16 as the NPU does; it says nothing about speed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

TOLERANCE = 2e-2  # of the largest value, as `litehrnet check` allows where weights are float16


def main() -> int:
    """Convert, compare and write; the exit code is 1 if something fails or the two differ."""
    parser = argparse.ArgumentParser(description="Convert an ONNX file for a Rockchip NPU, and compare the two.")
    parser.add_argument("source", type=Path, metavar="FILE.onnx")
    parser.add_argument("--target", default="rk3588", help="the chip, in the toolkit's words (default: rk3588)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.rknn", help="default: the source's name")
    args = parser.parse_args()
    try:
        toolkit = importlib.import_module("rknn.api").RKNN(verbose=False)
    except ModuleNotFoundError:
        print("rknn-toolkit2 is not installed; in an environment of its own: pip install rknn-toolkit2")
        return 1
    output = args.output or args.source.with_suffix(".rknn")
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        converted = Path(folder) / output.name
        try:
            convert(toolkit, args.source, args.target, converted)
            wrong, moved = compare(toolkit, args.source)
        except RuntimeError as error:
            print(f"{args.source}: {error}")
            return 1
        finally:
            toolkit.release()
        agrees = wrong <= TOLERANCE
        print(f"relative difference {wrong:.1e}, {moved} peaks moved: {'ok' if agrees else 'not ok, no file was kept'}")
        if agrees:
            converted.replace(output)
            print(output)
    return 0 if agrees else 1


def convert(toolkit: object, source: Path, target: str, output: Path) -> None:
    """Load, build and write, and start the simulator.

    Raises:
        RuntimeError: a step failed.
    """
    steps = {
        "config": lambda: toolkit.config(target_platform=target),
        "load_onnx": lambda: toolkit.load_onnx(str(source)),
        "build": lambda: toolkit.build(do_quantization=False),
        "export_rknn": lambda: toolkit.export_rknn(str(output)),
        "init_runtime": lambda: toolkit.init_runtime(),  # no target: the simulator
    }
    for name, step in steps.items():
        try:
            failed = step() not in (0, None)
        except ValueError as error:  # it wraps its errors into one another; the last line says what is wrong
            raise RuntimeError(f"rknn-toolkit2's {name} failed: {str(error).strip().splitlines()[-1]}") from error
        if failed:
            raise RuntimeError(f"rknn-toolkit2's {name} failed; its own words are above")


def compare(toolkit: object, source: Path) -> tuple[float, int]:
    """The largest difference from ONNX Runtime over its largest value, and how many heatmaps' peaks moved."""
    session = onnxruntime.InferenceSession(str(source))
    (image,) = session.get_inputs()
    images = np.random.default_rng(0).standard_normal(image.shape).astype(np.float32)  # (1, 3, H, W)
    expected = session.run(None, {image.name: images})[0]  # (1, K, h, w)
    found = toolkit.inference(inputs=[images], data_format=["nchw"])
    if found is None or found[0].shape != expected.shape:
        raise RuntimeError("the simulator gave no heatmaps of this shape")
    flat, other = expected.reshape(expected.shape[1], -1), found[0].reshape(expected.shape[1], -1)  # (K, h * w)
    wrong = float(np.abs(flat - other).max() / np.abs(flat).max())
    return wrong, int((flat.argmax(1) != other.argmax(1)).sum())


if __name__ == "__main__":
    sys.exit(main())
